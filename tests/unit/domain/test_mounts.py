"""Where files appear inside a container (ENV-11 to ENV-14, INV-31)."""

from __future__ import annotations

import pytest

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.job import MountRequest
from ucloud_ray.domain.mounts import FileWish, path_in_container, plan_mounts, wished_files


def targets(*paths: str, **titles: str) -> dict[str, str]:
    mounts = plan_mounts([FileWish(path) for path in paths], titles or None)
    return {mount.ucloud_path: mount.target for mount in mounts}


def test_a_path_appears_under_its_last_component() -> None:
    assert targets("/4/A/Data/") == {"/4/A/Data": "/work/Data"}


def test_all_of_several_equal_names_are_numbered_in_order_of_path() -> None:
    """ENV-13."""
    assert targets("/4/B/Data", "/4/A/Data") == {"/4/A/Data": "/work/Data-0", "/4/B/Data": "/work/Data-1"}


def test_a_number_that_is_a_name_already_is_skipped() -> None:
    """Q11."""
    assert targets("/1/a/x", "/1/b/x", "/1/c/x-0") == {
        "/1/a/x": "/work/x-1",
        "/1/b/x": "/work/x-2",
        "/1/c/x-0": "/work/x-0",
    }


def test_numbers_given_to_one_name_are_not_given_to_another() -> None:
    chosen = targets("/1/a/x", "/1/b/x", "/1/c/x-0", "/1/d/x-0")
    assert len(set(chosen.values())) == 4
    assert chosen["/1/c/x-0"] == "/work/x-0-0"


def test_paths_are_ordered_by_their_bytes() -> None:
    assert list(targets("/1/é/x", "/1/z/x", "/1/Z/x")) == ["/1/Z/x", "/1/z/x", "/1/é/x"]


def test_a_drive_appears_under_its_title() -> None:
    """ENV-12."""
    titles = {"4": "Member Files: alice", "5": "..", "6": "a/b"}
    mounts = plan_mounts([FileWish("/4"), FileWish("/5"), FileWish("/6"), FileWish("/7")], titles)
    assert [mount.target for mount in mounts] == ["/work/alice", "/work/5", "/work/a_b", "/work/7"]


def test_one_path_is_mounted_once_and_writable_if_any_wish_is() -> None:
    assert plan_mounts([("/1/a", True, None), ("/1/a/", False, None)]) == (MountRequest("/1/a", "/work/a", False),)
    assert plan_mounts([("/1/a", True, None), ("/1/a/", True, None)]) == (MountRequest("/1/a", "/work/a", True),)


def test_the_wish_of_a_parameter_wins_over_that_of_a_resource() -> None:
    """ENV-11."""
    resources = [
        {"type": "file", "path": "/1/a/", "readOnly": False},
        {"type": "peer"},
        {"type": "file", "path": "/1/b"},
    ]
    values = {
        "f": {"type": "file", "path": "/1/a", "readOnly": True, "mountPath": ""},
        "t": {"type": "text", "value": "/1/c"},
    }
    assert wished_files(resources, values) == [FileWish("/1/a", True, None), FileWish("/1/b", False, None)]


def test_an_explicit_place_is_normalised() -> None:
    """ENV-14."""
    assert plan_mounts([("/1/a", True, "//data/./x/../y/")]) == (MountRequest("/1/a", "/data/y", True),)


@pytest.mark.parametrize(
    "place",
    ["data", "/", "/.", "//", "/work", "/work/x", "/etc/ucloud", "/data/../etc/ucloud/x", "/opt/ucloud/", "/a\0"],
)
def test_a_reserved_place_is_refused(place: str) -> None:
    with pytest.raises(InvalidInvocation):
        plan_mounts([("/1/a", True, place)])


def test_two_files_at_one_explicit_place_are_refused() -> None:
    with pytest.raises(InvalidInvocation, match="cannot both be mounted at /data"):
        plan_mounts([("/1/a", True, "/data"), ("/1/b", True, "/data/")])


def test_the_longest_mount_gives_the_path_inside() -> None:
    """INV-31, at any depth."""
    map_path = path_in_container(plan_mounts([FileWish("/1/a"), FileWish("/1/a/b/c"), FileWish("/2/ab")]))
    assert map_path("/1/a") == "/work/a"
    assert map_path("/1/a/x/y") == "/work/a/x/y"
    assert map_path("/1/a/b/c/d") == "/work/c/d"
    assert map_path("/1/ab") is None
    assert map_path("/2") is None
