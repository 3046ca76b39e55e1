"""Where files and job folders are, and who may use them (ENV-2, ENV-3, ENV-16, ENV-18)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ucloud_ray.control.drives import Drives, JobFolder, make_job_folder
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.job import Owner
from ucloud_ray.settings import DriveOwner, DriveSettings

ALICE, BOB = Owner("alice"), Owner("bob")
TEAM = Owner("alice", "2f1c")


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    (tmp_path / "alice" / "data").mkdir(parents=True)
    (tmp_path / "alice" / "data" / "a.csv").touch()
    (tmp_path / "team").mkdir()
    configured = (
        DriveSettings("1", "Home", tmp_path / "alice", DriveOwner("user", username="alice")),
        DriveSettings("2", "Team", tmp_path / "team", DriveOwner("project", project_id="2f1c")),
    )
    return Drives(configured, tmp_path / "homes")


def test_a_path_is_found_on_the_drive_of_its_workspace(drives: Drives, tmp_path: Path) -> None:
    assert drives.resolve("/1/data/a.csv", ALICE) == tmp_path / "alice/data/a.csv"
    assert drives.resolve("/2", TEAM) == tmp_path / "team"


@pytest.mark.parametrize(("path", "owner"), [("/1/data/a.csv", BOB), ("/1/data", TEAM), ("/2", ALICE)])
def test_a_drive_of_another_workspace_is_refused(drives: Drives, path: str, owner: Owner) -> None:
    """ENV-16, D12: whatever the Core allowed."""
    with pytest.raises(BadRequest, match="not on a drive of this workspace"):
        drives.resolve(path, owner)


@pytest.mark.parametrize("path", ["/9/x", "1/data", "/", "", "/1/../2/x", "/1/data/../../x"])
def test_a_path_that_names_no_file_of_a_drive_is_refused(drives: Drives, path: str) -> None:
    with pytest.raises(BadRequest):
        drives.resolve(path, ALICE)


def test_a_link_out_of_the_drive_is_refused(drives: Drives, tmp_path: Path) -> None:
    """ENV-18."""
    (tmp_path / "alice" / "out").symlink_to("/etc")
    (tmp_path / "alice" / "within").symlink_to("data")
    with pytest.raises(BadRequest, match="leaves its drive"):
        drives.resolve("/1/out/passwd", ALICE)
    assert drives.resolve("/1/within/a.csv", ALICE) == tmp_path / "alice/data/a.csv"


def test_an_automatic_home_belongs_to_its_user_alone(drives: Drives) -> None:
    home = drives.home(BOB)
    assert drives.resolve(f"/{home.id}/x", BOB) == home.root.resolve() / "x"
    with pytest.raises(BadRequest):
        drives.resolve(f"/{home.id}/x", ALICE)


def test_a_workspace_without_a_drive_is_refused_when_none_may_be_made() -> None:
    with pytest.raises(BadRequest, match="has no drive"):
        Drives((), None).home(BOB)


def test_a_job_folder_is_not_made_through_a_link(tmp_path: Path) -> None:
    """D12: the user can write to the drive."""
    (tmp_path / "home").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "home" / "Jobs").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="Jobs"):
        make_job_folder(JobFolder(tmp_path / "home", PurePosixPath("Jobs/A/1"), "/1/Jobs/A/1"))
    assert list((tmp_path / "outside").iterdir()) == []
