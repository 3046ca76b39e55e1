"""A script that the process could not read is refused before the start, with the folder that is in the way."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.errors import InvalidTask
from runtimes.native.reach import may_enter, require_reachable
from runtimes.types import FileRef, Limits, LogPaths, TaskId, TaskSpec

SPEC = TaskSpec(
    TaskId("t", "1"),
    {},
    ("bash", FileRef("job.sh")),
    {},
    Path("/job"),
    LogPaths(Path("/out"), Path("/err")),
    Limits(1, 1),
    "h",
    user=(11042, 11042),
)


@pytest.fixture
def closed() -> Iterator[Path]:
    """Not below `tmp_path`, whose parents are closed themselves."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_the_folder_in_the_way_is_named(closed: Path) -> None:
    with pytest.raises(InvalidTask, match=rf"may not enter {closed} .*chmod o\+x"):
        require_reachable(SPEC, closed / "native")
    closed.chmod(0o711)
    require_reachable(SPEC, closed / "native")


def test_only_a_task_of_another_user_that_runs_a_file_is_looked_at(closed: Path) -> None:
    require_reachable(dataclasses.replace(SPEC, user=None), closed)
    require_reachable(dataclasses.replace(SPEC, user=(0, 0)), closed)
    require_reachable(dataclasses.replace(SPEC, argv=("bash", "-c", "true")), closed)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "enters"),
    [(0o700, 7, 8, True), (0o070, 7, 8, False), (0o070, 9, 8, True), (0o701, 9, 8, False), (0o701, 9, 9, True)],
)
def test_the_first_class_that_fits_decides(closed: Path, mode: int, uid: int, gid: int, enters: bool) -> None:
    closed.chmod(mode)
    found = os.stat_result((closed.stat().st_mode, 0, 0, 0, 7, 8, 0, 0, 0, 0))
    assert may_enter(found, uid, gid) is enters
