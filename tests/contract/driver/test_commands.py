"""Arguments and variables reach a program byte for byte, and references are what they refer to (INV-16, INV-23)."""

from __future__ import annotations

import dataclasses

import pytest

from runtimes.driver import Driver
from runtimes.errors import InvalidTask, TaskNotFound
from runtimes.types import ExitResult, FileRef, TaskSpec, VariableRef
from tests.contract.driver.kits import DriverKit
from tests.contract.driver.waiting import stdout

NASTY = ("", " padded ", 'it\'s "x"', "$HOME `id` $(id) *;|&>", "a\n\tb\n", "--", "blåbær 日本語 🚀", "\x01\x7f\\")
TELLS = ("sh", "-c", 'printf "<%s>" "$@"; printf "<%s>" "$MINE" "$COPY"', "sh")


async def test_arguments_and_variables_arrive_byte_for_byte(real_kit: DriverKit, real_driver: Driver) -> None:
    """INV-23, INV-25: no shell in between."""
    text = "".join(NASTY) + "x" * 10_000  # Docker keeps lines of up to 16 KiB as they are
    spec = real_kit.make_spec((*TELLS, *NASTY, text), environment={"MINE": text, "COPY": ""})
    await real_driver.wait(await real_driver.start(spec))
    assert stdout(spec) == "".join(f"<{word}>" for word in (*NASTY, text, text, ""))


async def test_a_reference_is_what_the_final_environment_says(real_kit: DriverKit, real_driver: Driver) -> None:
    """Q1: one argument each, also for a variable that nobody gave; empty for one that nobody sets."""
    words = (VariableRef("MINE"), VariableRef("COPY"), VariableRef("PATH"), VariableRef("NOWHERE"))
    spec = real_kit.make_spec((), environment={"MINE": "a  b"}, references={"COPY": "HOME"}, argv=(*TELLS, *words))
    await real_driver.wait(await real_driver.start(spec))
    mine, copy, path, nowhere, *same = stdout(spec).removeprefix("<").removesuffix(">").split("><")
    assert (mine, nowhere, same) == ("a  b", "", [mine, copy])
    assert "/bin" in path.split(":")
    assert copy.startswith("/"), "the home that every task has"


async def test_a_script_among_the_files_is_run_from_there(real_kit: DriverKit, real_driver: Driver) -> None:
    """INV-33: with its own exit status."""
    files = {"job.sh": b'echo "$0" "$1"; exit 7\n'}
    spec = real_kit.make_spec((), argv=("sh", FileRef("job.sh"), "x"), files=files, requires="sh")
    result = await real_driver.wait(await real_driver.start(spec))
    assert dataclasses.replace(result, finished_at=None) == ExitResult(code=7)
    assert stdout(spec).endswith("/job.sh x\n")


async def test_a_task_without_the_program_that_it_requires_is_refused(real_kit: DriverKit, real_driver: Driver) -> None:
    """An image without bash cannot run a template."""
    spec = real_kit.make_spec(("true",), requires="no-such-shell")
    with pytest.raises(InvalidTask, match="needs the program no-such-shell"):
        await prepare_and_start(real_driver, spec)
    with pytest.raises(TaskNotFound):
        await real_driver.recover(spec.id)
    assert await real_kit.leftovers() == []


async def prepare_and_start(driver: Driver, spec: TaskSpec) -> None:
    """As the control plane does; either may refuse."""
    await driver.prepare(spec)
    await driver.start(spec)
