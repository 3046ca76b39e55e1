"""What a task shall see is held at a place of ours, with the flags of ENV-16 and ENV-19, and let go of completely."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtimes.errors import InvalidTask
from runtimes.mounts import pins
from runtimes.mounts.sources import Source

pytestmark = pytest.mark.skipif(not pins.supported(), reason="only root may mount, on Linux 5.6 or newer")


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    drive = tmp_path / "drive"
    (drive / "data").mkdir(parents=True)
    (drive / "data/file").write_text("content")
    return drive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    return folder


def source(drive: Path, relative: str, read_only: bool = False) -> Source:
    return Source(str(drive / relative), "/work/x", str(drive), f"The file /7/{relative}", read_only)


def mounts_below(folder: Path) -> dict[str, set[str]]:
    """Mount point below the folder to its options and optional fields, as the kernel tells."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    below = [fields for fields in lines if Path(fields[4]).is_relative_to(folder)]
    return {fields[4]: {*fields[5].split(","), *fields[6 : fields.index("-")]} for fields in below}


def test_folders_and_files_are_held_with_flags_and_without_propagation(drive: Path, folder: Path) -> None:
    pins.hold(folder, [source(drive, "data"), source(drive, "data/file", read_only=True)])
    try:
        assert mounts_below(folder) == {
            str(pins.place(folder, 0)): {"rw", "nosuid", "nodev", "relatime"},
            str(pins.place(folder, 1)): {"ro", "nosuid", "nodev", "relatime"},
        }
        assert (pins.place(folder, 0) / "file").read_text() == pins.place(folder, 1).read_text() == "content"
        with pytest.raises(OSError, match="Read-only"):
            pins.place(folder, 1).write_text("x")
    finally:
        pins.release(folder)


def test_a_link_that_is_swapped_later_changes_nothing(drive: Path, folder: Path) -> None:
    """ENV-18."""
    (drive / "link").symlink_to("data")
    pins.hold(folder, [source(drive, "link")])
    (drive / "link").unlink()
    (drive / "link").symlink_to("/etc")
    seen = os.listdir(pins.place(folder, 0))
    pins.release(folder)
    assert seen == ["file"]


def test_letting_go_leaves_nothing_and_touches_nothing(drive: Path, folder: Path) -> None:
    pins.hold(folder, [source(drive, "data"), source(drive, "data/file")])
    pins.release(folder)
    pins.release(folder)
    assert mounts_below(folder) == {}
    assert list(folder.iterdir()) == []
    assert (drive / "data/file").read_text() == "content"


def test_a_source_that_is_refused_leaves_nothing_held(drive: Path, folder: Path) -> None:
    (drive / "out").symlink_to("/etc")
    with pytest.raises(InvalidTask, match="/7/out is a link that leaves"):
        pins.hold(folder, [source(drive, "data"), source(drive, "out")])
    assert mounts_below(folder) == {}
    assert list(folder.iterdir()) == []


def test_what_a_dead_starter_held_is_replaced(drive: Path, folder: Path) -> None:
    """Also when it died in the middle of letting go."""
    pins.hold(folder, [source(drive, "data")])
    (folder / "pins").rename(folder / ".released-1")
    pins.hold(folder, [source(drive, "data")])
    pins.hold(folder, [source(drive, "data/file")])
    assert list(mounts_below(folder)) == [str(pins.place(folder, 0))]
    pins.release(folder)
    assert list(folder.iterdir()) == []


def test_places_that_lost_their_mounts_are_removed(folder: Path) -> None:
    """After the machine was started anew."""
    pins.place(folder, 0).mkdir(parents=True)
    pins.place(folder, 1).touch()
    pins.release(folder)
    assert list(folder.iterdir()) == []


def test_a_busy_place_is_let_go_of_all_the_same(drive: Path, folder: Path) -> None:
    pins.hold(folder, [source(drive, "data")])
    with (pins.place(folder, 0) / "file").open() as held:
        pins.release(folder)
        assert held.read() == "content"
    assert list(folder.iterdir()) == []
