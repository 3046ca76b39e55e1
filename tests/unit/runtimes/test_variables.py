"""References among variables and arguments (INV-16, Q1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtimes import variables
from runtimes.types import FileRef, Limits, LogPaths, TaskId, TaskSpec, VariableRef

LOGS = LogPaths(Path("/logs/out"), Path("/logs/err"))


def task(**more: Any) -> TaskSpec:
    fields: dict[str, Any] = {"argv": ("x",), "environment": {}, **more}
    return TaskSpec(
        TaskId("t", "1"), {}, job_folder=Path("/job"), logs=LOGS, limits=Limits(1, 1), hostname="h", **fields
    )


def test_a_reference_is_the_value_in_the_final_environment_as_one_argument() -> None:
    """Q1."""
    spec = task(
        argv=("x", VariableRef("HOME"), VariableRef("OWN"), VariableRef("COPY"), VariableRef("NOPE")),
        environment={"OWN": "a  b"},
        references={"COPY": "HOME", "LOST": "NOPE"},
    )
    resolved = variables.resolve(spec, {"HOME": "/home/ucloud", "OWN": "the image's"})
    assert resolved.words == ("x", "/home/ucloud", "a  b", "/home/ucloud", "")
    assert resolved.environment == {"OWN": "a  b", "COPY": "/home/ucloud", "LOST": ""}
    assert resolved.references == {}


def test_a_variable_that_refers_to_its_own_name_keeps_the_value_of_the_image() -> None:
    assert variables.resolve(task(references={"PATH": "PATH"}), {"PATH": "/bin"}).environment == {"PATH": "/bin"}


def test_a_file_of_the_task_is_where_the_task_sees_it() -> None:
    spec = task(argv=("bash", FileRef("job.sh")))
    assert variables.resolve(spec, {}).words == ("bash", "/etc/ucloud/job.sh")
    assert variables.resolve(spec, {}, "/state/t/etc").words == ("bash", "/state/t/etc/job.sh")


def test_a_task_without_references_has_none() -> None:
    assert not variables.has_references(task())
    assert variables.has_references(task(argv=("x", VariableRef("A"))))
    assert variables.has_references(task(references={"A": "B"}))
    assert variables.resolve(task(), {"A": "a"}) == task()
