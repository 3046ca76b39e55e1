"""UCloud paths to paths of the provider, and where job folders are (ENV-2, ENV-3, ENV-16, ENV-18)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.control.rig import spec
from ucloud_ray.control.drives import Drives, Located, Standing
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


def test_members_of_a_project_have_their_folders_on_their_own_files(tmp_path: Path) -> None:
    """ENV-2. Whoever has none there uses the project's drive; a user's own workspace is another matter."""
    of_alice = DriveSettings("5", "Member Files: alice", tmp_path, DriveOwner("project", "alice", "p1"))
    of_all = DriveSettings("6", "Project", tmp_path, DriveOwner("project", project_id="p1"))
    drives = Drives((of_all, of_alice), tmp_path / "homes")
    assert [drives.home(Owner(user, "p1")).id for user in ("alice", "bob")] == ["5", "6"]
    assert drives.home(ALICE).id == "home-alice"
    assert Drives((of_alice,), tmp_path / "homes").home(Owner("bob", "p1")).id == "members-bob-p1"


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


def test_a_path_lies_below_its_drive(drives: Drives, tmp_path: Path) -> None:
    assert drives.locate("/8/data/in.txt", ALICE) == Located(tmp_path / "more/data/in.txt", tmp_path / "more")
    assert drives.locate("/8", ALICE) == Located(tmp_path / "more", tmp_path / "more")


@pytest.mark.parametrize("path", ["/7/../more", "/7/a/../../more", "/none/a", "7/a", "", "/"])
def test_a_path_outside_the_drives_of_the_workspace_is_refused(drives: Drives, path: str) -> None:
    for ask in (drives.locate, drives.check):
        with pytest.raises(BadRequest, match="is not on a drive of this workspace"):
            ask(path, ALICE)


def test_a_drive_is_of_the_workspace_or_of_another_or_gone(drives: Drives, tmp_path: Path) -> None:
    assert [drives.standing(drive, ALICE) for drive in ("7", "9", "none")] == [
        Standing.OWN,
        Standing.FOREIGN,
        Standing.GONE,
    ]
    assert drives.locate("/9/shared", ALICE).path == tmp_path / "project/shared"
    assert drives.standing("home-alice", ALICE) is Standing.GONE
    with_homes = Drives((DriveSettings("7", "Home", tmp_path, DriveOwner("user", "alice")),), tmp_path / "homes")
    assert with_homes.standing("home-alice", ALICE) is Standing.OWN, "jobs of before the operator gave her a drive"
    assert with_homes.standing("home-bob", ALICE) is Standing.GONE


def test_a_link_that_leaves_its_drive_is_refused_at_once_and_one_inside_is_not(drives: Drives, tmp_path: Path) -> None:
    (tmp_path / "alice/data").mkdir()
    (tmp_path / "alice/out").symlink_to("/etc")
    (tmp_path / "alice/up").symlink_to("../more")
    (tmp_path / "alice/inside").symlink_to("data")
    for path in ("/7/out/passwd", "/7/up"):
        with pytest.raises(BadRequest, match=f"The file {path} is a link that leaves its drive"):
            drives.check(path, ALICE)
    drives.check("/7/inside", ALICE)


def test_a_file_that_is_missing_may_be_there_when_the_job_starts(drives: Drives) -> None:
    """ENV-15."""
    drives.check("/7/later", ALICE)
