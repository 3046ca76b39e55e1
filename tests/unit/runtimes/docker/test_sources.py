"""What a task wants to see must exist; nothing is made for it (ENV-15)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from runtimes.docker import sources
from runtimes.errors import InvalidTask
from runtimes.types import Limits, LogPaths, Mount, TaskId, TaskSpec


@pytest.fixture
def task(tmp_path: Path) -> TaskSpec:
    (tmp_path / "job").mkdir()
    return TaskSpec(
        id=TaskId("j-1-job-0", "1"),
        labels={},
        argv=("true",),
        environment={},
        job_folder=tmp_path / "job",
        logs=LogPaths(tmp_path / "out", tmp_path / "err"),
        limits=Limits(1000, 1_000_000_000),
        hostname="j-1-job-0",
    )


def test_files_and_folders_that_exist_are_accepted(task: TaskSpec) -> None:
    file = task.job_folder / "file"
    file.touch()
    sources.require(dataclasses.replace(task, mounts=(Mount(str(file), "/data/file"), Mount("/", "/data/all"))))


@pytest.mark.parametrize("below", ["missing", "file/below"])
def test_a_missing_source_is_told_by_its_target_and_not_made(task: TaskSpec, below: str) -> None:
    (task.job_folder / "file").touch()
    source = task.job_folder / below
    with pytest.raises(InvalidTask) as caught:
        sources.require(dataclasses.replace(task, mounts=(Mount(str(source), "/work/data"),)))
    assert caught.value.message == "/work/data cannot be mounted: what it shall show does not exist."
    assert not (task.job_folder / "missing").exists()


def test_a_missing_job_folder_is_told_as_what_it_is(task: TaskSpec) -> None:
    task.job_folder.rmdir()
    with pytest.raises(InvalidTask, match="The job folder"):
        sources.require(task)
