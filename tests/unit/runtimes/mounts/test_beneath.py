"""A path is opened below its root or not at all, whatever is done to it meanwhile (ENV-18, D12)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from runtimes.mounts.beneath import LeavesRoot, open_beneath
from tests.support.swapping import swapping

ATTEMPTS = 2_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    root = tmp_path / "drive"
    (root / "data").mkdir(parents=True)
    (root / "data/file").write_text("content")
    return root


def read(root: Path, relative: str) -> str:
    opened = open_beneath(root, root / relative, os.O_RDONLY)
    with open(opened) as file:
        return file.read()


@pytest.mark.parametrize(
    ("link", "to"), [("a", "data"), ("data/a", "../data"), ("a", "./data/../data"), ("data/deep", "./../data/.")]
)
def test_links_that_stay_inside_are_followed(root: Path, link: str, to: str) -> None:
    (root / link).symlink_to(to)
    assert read(root, f"{link}/file") == "content"


@pytest.mark.parametrize("to", ["/etc", "..", "../secret", "data/../../secret", "/proc/self/cwd", "{root}/data"])
def test_links_that_leave_are_refused_absolute_ones_wherever_they_point(root: Path, to: str) -> None:
    (root / "a").symlink_to(to.format(root=root))
    for relative in ("a", "a/file"):
        with pytest.raises(LeavesRoot):
            open_beneath(root, root / relative)


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/../secret", "{root}/data/../../secret", "{root}2/x"])
def test_a_path_that_does_not_begin_with_the_root_is_refused(root: Path, path: str) -> None:
    with pytest.raises(LeavesRoot):
        open_beneath(root, path.format(root=root))


def test_the_root_itself_can_be_opened(root: Path) -> None:
    opened = open_beneath(root, root)
    assert os.path.samestat(os.fstat(opened), root.stat())
    os.close(opened)


@pytest.mark.parametrize("relative", ["missing", "missing/below"])
def test_what_does_not_exist_is_told_as_that(root: Path, relative: str) -> None:
    with pytest.raises(FileNotFoundError):
        open_beneath(root, root / relative)
    with pytest.raises(NotADirectoryError):
        open_beneath(root, root / "data/file/below")


def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(LeavesRoot):
        open_beneath(root, root / "a")


def test_a_folder_that_is_swapped_for_a_link_all_the_time_never_leads_outside(root: Path) -> None:
    """The race that a check before the use would lose."""
    seen = set()
    with swapping(root / "data", root.parent / "secret"):
        for _ in range(ATTEMPTS):
            with suppress(LeavesRoot):
                seen.add(read(root, "data/file"))
    assert seen == {"content"}
