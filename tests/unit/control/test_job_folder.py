"""The folder of a job is made on a drive that its user changes at will, and tidied up (ENV-4 to ENV-6, ENV-34, D12)."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path, PurePosixPath

import pytest

from ucloud_ray.control.drives import JOB_UID, JobFolder
from ucloud_ray.control.job_folder import clear_mount_points, make_job_folder, write_parameters

OWNER = JOB_UID if os.geteuid() == 0 else os.geteuid()
DOCUMENT = {"status": {"jobParametersJson": {"siteVersion": 3, "request": {"name": "blåbær"}}}}


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    (tmp_path / "alice").mkdir()
    return JobFolder(tmp_path / "alice", PurePosixPath("Jobs/Batch/41"), "/7/Jobs/Batch/41")


def test_a_folder_is_made_once_and_belongs_to_the_job_user(folder: JobFolder) -> None:
    """ENV-4, ENV-34."""
    make_job_folder(folder)
    (folder.path / "kept").touch()
    make_job_folder(folder)
    assert (folder.path / "kept").exists()
    parts = [folder.path, folder.path.parent, folder.path.parent.parent]
    assert {part.stat().st_uid for part in parts} == {OWNER}


def test_its_group_may_write_and_owns_what_is_made_inside(folder: JobFolder) -> None:
    """ENV-34: the user of an image is anybody."""
    make_job_folder(folder)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o2775
    (folder.path / "new").touch()
    assert (folder.path / "new").stat().st_gid == folder.path.stat().st_gid


@pytest.mark.parametrize("planted", ["Jobs", "Jobs/Batch", "Jobs/Batch/41"])
def test_a_link_planted_in_the_way_of_the_folder_is_not_followed(
    folder: JobFolder, tmp_path: Path, planted: str
) -> None:
    """The job would write where it leads to."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "Batch/41").mkdir(parents=True)
    link = folder.root / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(OSError, match="Not a directory"):
        make_job_folder(folder)
    assert sorted(path.name for path in elsewhere.rglob("*")) == ["41", "Batch"]


# --------------------------------------------------------------------------------------------------- parameters


def test_the_parameters_are_written_once(folder: JobFolder) -> None:
    """ENV-5."""
    assert make_job_folder(folder)
    write_parameters(folder, DOCUMENT)
    file = folder.path / "JobParameters.json"
    assert json.loads(file.read_text(encoding="utf-8")) == DOCUMENT["status"]["jobParametersJson"]
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (OWNER, 0o644)
    assert not make_job_folder(folder)
    file.write_text("the user's own")
    write_parameters(folder, DOCUMENT)
    assert file.read_text() == "the user's own"


@pytest.mark.parametrize("status", [None, {}, {"jobParametersJson": None}])
def test_parameters_that_the_core_did_not_send_are_not_written(folder: JobFolder, status: object) -> None:
    make_job_folder(folder)
    for document in (None, {}, {"status": status}):
        write_parameters(folder, document)
    assert list(folder.path.iterdir()) == []


def test_parameters_are_not_written_through_a_link(folder: JobFolder, tmp_path: Path) -> None:
    make_job_folder(folder)
    (folder.path / "JobParameters.json").symlink_to(tmp_path / "planted")
    write_parameters(folder, DOCUMENT)
    assert not (tmp_path / "planted").exists()


# ------------------------------------------------------------------------------------------------- mount points


def test_empty_mount_points_are_removed_and_nothing_else(folder: JobFolder) -> None:
    """ENV-6."""
    make_job_folder(folder)
    for name in ("empty", "ours", "full"):
        (folder.path / name).mkdir()
    (folder.path / "full/file").touch()
    for name, content in {"zero": "", "own-zero": "", "text": "x"}.items():
        (folder.path / name).write_text(content)
    clear_mount_points(folder, ["ours", "full", "zero", "text", "missing"])
    assert sorted(os.listdir(folder.path)) == ["empty", "full", "own-zero", "text"]


def test_mount_points_that_became_links_are_left_alone_and_so_is_what_they_lead_to(
    folder: JobFolder, tmp_path: Path
) -> None:
    """ENV-6."""
    make_job_folder(folder)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "zero").touch()
    (folder.path / "data").symlink_to(tmp_path / "elsewhere")
    (folder.path / "file").symlink_to(tmp_path / "zero")
    clear_mount_points(folder, ["data", "file"])
    assert sorted(os.listdir(folder.path)) == ["data", "file"]
    assert (tmp_path / "elsewhere").is_dir()
    assert (tmp_path / "zero").exists()


def test_a_job_folder_that_became_a_link_is_not_tidied_up(folder: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/data").mkdir(parents=True)
    folder.path.parent.mkdir(parents=True)
    folder.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Not a directory"):
        clear_mount_points(folder, ["data"])
    assert (tmp_path / "elsewhere/data").is_dir()
