"""Two workspaces never have one home or one drive id, whatever their names (ENV-2); titles are safe names (ENV-3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.control.drives import Drives, Standing
from ucloud_ray.domain.folder_names import component, home_of, unique_component
from ucloud_ray.domain.job import Owner
from ucloud_ray.settings import DriveOwner, DriveSettings

UUID = "3f2b8a90-1234-4abc-8def-0123456789ab"
LONG = st.sampled_from(["x" * 99, "x" * 100, "x" * 101, "x" * 300])
TRICKY = st.text(alphabet="ab-_~/. \n\0\x85é", max_size=6) | LONG
OWNERS = st.builds(Owner, TRICKY.filter(bool), st.none() | TRICKY.filter(bool) | st.just(UUID))


@given(OWNERS, OWNERS)
def test_different_workspaces_never_share_a_folder_or_a_drive(one: Owner, other: Owner) -> None:
    first, second = home_of(one), home_of(other)
    assert (first == second) == (one == other)
    assert (first.drive_id == second.drive_id) == (one == other)
    assert (first.folder == second.folder) == (one == other)


@given(TRICKY)
def test_a_component_is_one_that_every_file_system_takes(text: str) -> None:
    for name in (component(text), unique_component(text)):
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert name.isprintable()
        assert len(name.encode()) <= 133


@pytest.mark.parametrize(
    ("owner", "folder", "drive_id"),
    [
        (Owner("alice"), "alice/home", "home-alice"),
        (Owner("Alice Smith#1234"), "Alice Smith#1234/home", "home-Alice Smith#1234"),
        (Owner("a-b@c.dk"), "a-b@c.dk/home", "home-a-b@c.dk"),
        (Owner("alice", UUID), f"{UUID}/members-alice", f"members-alice-{UUID}"),
        (Owner("a-b", UUID), f"{UUID}/members-a-b", f"members-a-b-{UUID}"),
        (Owner("a-b", "p1"), "p1/members-a-b", "members-a-b-p1"),
    ],
)
def test_usual_names_have_the_homes_that_they_always_had(owner: Owner, folder: str, drive_id: str) -> None:
    names = home_of(owner)
    assert (str(names.folder), names.drive_id) == (folder, drive_id)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../bob", "bob ", "bob\n", "b" * 101, "bob~" + "0" * 32])
def test_a_name_that_is_no_folder_name_is_marked(name: str) -> None:
    assert unique_component(name) != name
    assert unique_component(name).startswith(component(name) + "~")


def test_members_whose_names_could_be_read_two_ways_have_drives_of_their_own() -> None:
    ids = [home_of(Owner(user, project)).drive_id for user, project in (("a-b", "c"), ("a", "b-c"), ("a", f"b-{UUID}"))]
    assert len(set(ids)) == 3


def test_a_drive_of_the_operator_keeps_its_id_and_the_home_takes_another(tmp_path: Path) -> None:
    taken = DriveSettings("home-bob", "Team", tmp_path / "team", DriveOwner("project", project_id="p1"))
    drives = Drives((taken,), tmp_path / "homes")
    home = drives.home(Owner("bob"))
    assert home.root == tmp_path / "homes/bob/home"
    assert home.id != "home-bob"
    assert drives.locate(f"/{home.id}/x", Owner("bob")).path == tmp_path / "homes/bob/home/x"
    assert drives.standing("home-bob", Owner("bob")) is Standing.FOREIGN
