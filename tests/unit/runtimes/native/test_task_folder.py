"""The folder of a task: appears whole, belongs to one incarnation, and never blocks its name for ever."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runtimes.errors import NameTaken
from runtimes.native.task_folder import ABANDONED_AFTER_SECONDS, TaskFolder, all_tasks, sweep_abandoned
from runtimes.types import ExitResult, TaskId

FILES = {"rank.txt": b"0\n", "ssh/keys": b"k\n"}


def a_task(incarnation: str = "1") -> dict[str, Any]:
    return {"name": "j-1-job-0", "incarnation": incarnation, "user": None}


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    return TaskFolder(tmp_path / "state", "j-1-job-0")


def test_the_second_maker_finds_it_made(folder: TaskFolder) -> None:
    assert folder.create(a_task(), FILES)
    assert not folder.create(a_task(), FILES)
    assert [path.name for path in folder.state_dir.iterdir()] == ["j-1-job-0"]


def test_another_incarnation_is_refused_and_leaves_nothing(folder: TaskFolder) -> None:
    """REC-3."""
    folder.create(a_task("1"), {})
    with pytest.raises(NameTaken):
        folder.create(a_task("2"), {})
    assert [path.name for path in folder.state_dir.iterdir()] == ["j-1-job-0"]
    assert folder.task_of(TaskId("j-1-job-0", "2")) is None


def test_what_the_task_was_told_is_private_and_its_files_are_read_only(folder: TaskFolder) -> None:
    """ENV-8; the environment may hold secrets."""
    folder.create(a_task(), FILES)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.folder.rglob("*")}
    shared = {name: mode for name, mode in modes.items() if mode != 0o600}
    assert shared == {"etc": 0o550, "ssh": 0o550, "rank.txt": 0o440, "keys": 0o440}
    assert {"task.json", "stdout.fifo", "stderr.fifo"} < modes.keys()
    assert (folder.folder / "etc/ssh/keys").read_bytes() == b"k\n"


def test_a_folder_is_removed_whole(folder: TaskFolder) -> None:
    folder.create(a_task(), FILES)
    assert folder.remove()
    assert list(folder.state_dir.iterdir()) == []


def test_a_folder_with_a_living_waiter_is_not_removed(folder: TaskFolder) -> None:
    folder.create(a_task(), FILES)
    with folder.locked() as mine:
        assert mine
        assert folder.is_locked()
        assert not folder.remove()
    assert folder.task() == a_task()
    assert not folder.is_locked()


def test_a_removal_that_was_interrupted_does_not_block_the_name(folder: TaskFolder) -> None:
    """Whoever removed it died after the first step."""
    folder.create(a_task("1"), FILES)
    (folder.folder / "task.json").unlink()
    assert folder.create(a_task("2"), FILES)
    assert folder.task() == a_task("2")


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0"])
def test_a_task_that_a_power_failure_emptied_is_not_found_and_does_not_block(
    folder: TaskFolder, content: bytes
) -> None:
    folder.create(a_task("1"), {})
    (folder.folder / "task.json").write_bytes(content)
    assert folder.task() is None
    assert folder.create(a_task("2"), {})


def test_a_start_that_a_power_failure_emptied_is_a_start_of_an_earlier_boot(folder: TaskFolder) -> None:
    """It did run, so it must not run again."""
    folder.create(a_task(), {})
    assert folder.started() is None
    (folder.folder / "started.json").write_bytes(b"")
    started = folder.started()
    assert started is not None
    assert started.boot == ""


def test_an_exit_that_a_power_failure_emptied_is_an_end_of_unknown_status(folder: TaskFolder) -> None:
    folder.create(a_task(), {})
    assert folder.exit() is None
    (folder.folder / "exit.json").write_bytes(b"")
    assert folder.exit() == ExitResult()


def test_listing_shows_whole_tasks_only(folder: TaskFolder) -> None:
    assert all_tasks(folder.state_dir) == []
    folder.create(a_task(), {})
    (folder.state_dir / ".new-other").mkdir()
    (folder.state_dir / "launcher.log").touch()
    assert all_tasks(folder.state_dir) == [a_task()]


def test_sweeping_removes_what_was_abandoned_long_ago(folder: TaskFolder) -> None:
    folder.create(a_task(), {})
    old, new = folder.state_dir / ".new-old", folder.state_dir / ".old-new"
    for path in (old, new):
        path.mkdir()
    long_ago = old.stat().st_mtime - ABANDONED_AFTER_SECONDS - 1
    for path in (old, folder.folder):
        os.utime(path, (long_ago, long_ago))
    sweep_abandoned(folder.state_dir)
    assert sorted(path.name for path in folder.state_dir.iterdir()) == [".old-new", "j-1-job-0"]
