"""UCloud paths to paths of the provider, never out of a drive; and the job folders (ENV-2, ENV-3, ENV-18, D12)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.control.rig import spec
from ucloud_ray.control.drives import JOB_UID, Drives, make_job_folder
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Backend, Job, Owner, Queued
from ucloud_ray.settings import DriveOwner, DriveSettings

ALICE = Owner("alice")
PROJECT = Owner("alice", "p1")


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    configured = (
        DriveSettings("7", "Home", tmp_path / "alice", DriveOwner("user", username="alice")),
        DriveSettings("8", "More", tmp_path / "more", DriveOwner("user", username="alice")),
        DriveSettings("9", "Project", tmp_path / "project", DriveOwner("project", project_id="p1")),
    )
    for drive in configured:
        drive.path.mkdir()
    return Drives(configured, None)


def job(id: str = "41", owner: Owner = ALICE, **more: object) -> Job:
    return Job(JobUid("uid"), JobId(id), Millis(1), replace(spec(), owner=owner, **more), Queued(Millis(1)))


def test_the_folder_is_below_jobs_and_the_title_on_the_owners_first_drive(drives: Drives, tmp_path: Path) -> None:
    folder = drives.job_folder(job(application_title="Acme Batch"))
    assert folder.path == tmp_path / "alice/Jobs/Acme Batch/41"
    assert folder.ucloud_path == "/7/Jobs/Acme Batch/41"


def test_a_job_of_a_project_has_its_folder_on_the_projects_drive(drives: Drives) -> None:
    assert drives.job_folder(job(owner=PROJECT)).ucloud_path == "/9/Jobs/Batch/41"


def test_machines_have_a_folder_of_their_own(drives: Drives) -> None:
    folder = drives.job_folder(job(backend=Backend.VIRTUAL_MACHINE))
    assert folder.ucloud_path == "/7/Jobs/VirtualMachines/41"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("a/b", "a_b"),
        ("a\0b\nc", "a_b_c"),
        ("..", "_.."),
        (".", "_."),
        ("é" * 80, "é" * 50),
        ("x" * 101, "x" * 100),
    ],
)
def test_a_title_is_made_a_safe_name_of_at_most_100_bytes(drives: Drives, title: str, name: str) -> None:
    assert drives.job_folder(job(application_title=title)).ucloud_path == f"/7/Jobs/{name}/41"


def test_without_a_title_the_name_of_the_application_is_taken(drives: Drives) -> None:
    assert drives.job_folder(job(application_title="")).ucloud_path == "/7/Jobs/batch/41"


def test_a_workspace_without_a_drive_is_refused_or_given_a_home(drives: Drives, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no drive"):
        drives.home(Owner("bob"))
    automatic = Drives((), tmp_path / "homes")
    assert automatic.home(Owner("bob")).root == tmp_path / "homes/bob/home"
    assert automatic.home(Owner("bob", "p2")).root == tmp_path / "homes/p2/members-bob"
    assert automatic.home(Owner("eve", "p2")).id != automatic.home(Owner("bob", "p2")).id


def test_a_path_is_resolved_below_its_drive(drives: Drives, tmp_path: Path) -> None:
    assert drives.resolve("/8/data/in.txt", ALICE) == tmp_path / "more/data/in.txt"


@pytest.mark.parametrize("path", ["/7/../more", "/7/a/../../more", "/none/a", "7/a", "", "/", "/9/secret"])
def test_a_path_outside_the_drives_of_the_workspace_is_refused(drives: Drives, path: str) -> None:
    with pytest.raises(BadRequest):
        drives.resolve(path, ALICE)


def test_a_link_that_leaves_its_drive_is_refused_and_one_inside_is_followed(drives: Drives, tmp_path: Path) -> None:
    (tmp_path / "alice/out").symlink_to("/etc")
    (tmp_path / "alice/other").symlink_to(tmp_path / "more")
    (tmp_path / "alice/inside").symlink_to("data")
    for path in ("/7/out/passwd", "/7/other"):
        with pytest.raises(BadRequest, match="leaves its drive"):
            drives.resolve(path, ALICE)
    assert drives.resolve("/7/inside/x", ALICE) == tmp_path / "alice/data/x"


def test_a_folder_is_made_once_and_belongs_to_the_job_user(drives: Drives, tmp_path: Path) -> None:
    """ENV-4, ENV-34."""
    folder = drives.job_folder(job())
    make_job_folder(folder)
    (folder.path / "kept").touch()
    make_job_folder(folder)
    assert (folder.path / "kept").exists()
    owner = JOB_UID if os.geteuid() == 0 else os.geteuid()
    assert {(tmp_path / "alice" / part).stat().st_uid for part in ("Jobs", "Jobs/Batch", "Jobs/Batch/41")} == {owner}


@pytest.mark.parametrize("planted", ["Jobs", "Jobs/Batch", "Jobs/Batch/41"])
def test_a_link_planted_in_the_way_of_the_folder_is_not_followed(drives: Drives, tmp_path: Path, planted: str) -> None:
    """D12: the job would write where it leads to."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "Batch/41").mkdir(parents=True)
    link = tmp_path / "alice" / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(OSError, match="Not a directory"):
        make_job_folder(drives.job_folder(job()))
    assert sorted(path.name for path in elsewhere.rglob("*")) == ["41", "Batch"]
