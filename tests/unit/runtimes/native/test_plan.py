"""From a specification to what the waiter is told. Pure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from runtimes.errors import InvalidTask
from runtimes.native import plan
from runtimes.types import Limits, LogPaths, Mount, TaskId, TaskSpec

OWNER = {"HOME": "/home/ada", "USER": "ada"}


def a_spec(**changes: Any) -> TaskSpec:
    folder = Path("/drive/job")
    spec = TaskSpec(
        id=TaskId("j-1-job-0", "1"),
        labels={},
        argv=("echo", "hello"),
        environment={},
        job_folder=folder,
        logs=LogPaths(folder / "stdout-0.log", folder / "stderr-0.log"),
        limits=Limits(cpu_milli=500, memory_bytes=1_000_000),
        hostname="node-0",
    )
    return dataclasses.replace(spec, **changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"argv": ()}, "program"),
        ({"argv": ("echo", "a\0b")}, "NUL"),
        ({"environment": {"A": "a\0b"}}, "NUL"),
        ({"environment": {"A=B": "c"}}, "variable"),
        ({"environment": {"": "c"}}, "variable"),
        ({"image": "ubuntu"}, "container"),
        ({"mounts": (Mount("/a", "/b"),)}, "container"),
        ({"files": {"../passwd": b""}}, "ucloud"),
        ({"files": {"/etc/passwd": b""}}, "ucloud"),
        ({"id": TaskId("../other", "1")}, "name"),
        ({"id": TaskId(".hidden", "1")}, "name"),
    ],
)
def test_what_no_process_can_be_started_from_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidTask, match=complaint):
        plan.check(a_spec(**changes))


def test_a_plain_process_is_accepted() -> None:
    plan.check(a_spec())


def test_the_environment_is_minimal() -> None:
    """ENV-32."""
    assert plan.environment(a_spec(), Path("/state/etc"), OWNER) == {
        "PATH": plan.SEARCH_PATH,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "CUDA_VISIBLE_DEVICES": "-1",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "ROCR_VISIBLE_DEVICES": "-1",
        **OWNER,
    }


def test_given_variables_win() -> None:
    given = {"PATH": "/opt/bin", "HOME": "/work"}
    assert plan.environment(a_spec(environment=given), Path("/state/etc"), OWNER).items() >= given.items()


def test_a_process_is_told_where_its_files_are() -> None:
    """ENV-8, for a process that has no /etc/ucloud of its own."""
    spec = a_spec(files={"rank.txt": b"0\n"})
    assert plan.environment(spec, Path("/state/etc"), OWNER)[plan.CONFIG_VARIABLE] == "/state/etc"
