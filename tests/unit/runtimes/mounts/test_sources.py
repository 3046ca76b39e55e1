"""What a task wants to see must exist below its root; nothing is made for it (ENV-15, ENV-18)."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from runtimes.errors import InvalidTask
from runtimes.mounts import sources
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
    assert caught.value.message == "What /work/data shall show does not exist."
    assert not (task.job_folder / "missing").exists()


def test_a_missing_file_is_told_by_its_ucloud_path(task: TaskSpec) -> None:
    mount = Mount(str(task.job_folder / "missing"), "/work/data", root=str(task.job_folder), shown_as="/7/a/missing")
    with pytest.raises(InvalidTask) as caught:
        sources.require(dataclasses.replace(task, mounts=(mount,)))
    assert caught.value.message == "The file /7/a/missing does not exist."


def test_a_link_that_leaves_is_told_by_its_ucloud_path(task: TaskSpec) -> None:
    (task.job_folder / "out").symlink_to("/etc")
    mount = Mount(str(task.job_folder / "out"), "/work/out", root=str(task.job_folder), shown_as="/7/a/out")
    with pytest.raises(InvalidTask) as caught:
        sources.require(dataclasses.replace(task, mounts=(mount,)))
    assert caught.value.message == "The file /7/a/out is a link that leaves its drive."


def test_what_is_neither_file_nor_folder_is_refused(task: TaskSpec) -> None:
    os.mkfifo(task.job_folder / "pipe")
    with pytest.raises(InvalidTask, match="neither a file nor a folder"):
        sources.require(dataclasses.replace(task, mounts=(Mount(str(task.job_folder / "pipe"), "/data"),)))


def test_a_path_can_be_told_for_runtimes_that_take_nothing_else(task: TaskSpec) -> None:
    """Without root: links resolved at that moment."""
    (task.job_folder / "real").mkdir()
    (task.job_folder / "link").symlink_to("real")
    mount = Mount(str(task.job_folder / "link"), "/data", root=str(task.job_folder))
    _, source = sources.of_task(dataclasses.replace(task, mounts=(mount,)))
    assert sources.checked_path(source) == str(task.job_folder / "real")


def test_a_missing_job_folder_is_told_as_what_it_is(task: TaskSpec) -> None:
    task.job_folder.rmdir()
    with pytest.raises(InvalidTask, match="The job folder"):
        sources.require(task)
