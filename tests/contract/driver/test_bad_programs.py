"""Programs that misbehave end cleanly, leave nothing, and do no harm to a task beside them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.driver import Driver
from runtimes.types import ExitResult, TaskSpec, TaskState
from tests.contract.driver.kits import MEGABYTE, DriverKit
from tests.contract.driver.waiting import has_printed, stdout
from tests.support.wait import async_wait_until

LONG_LINE = 100_000_000
BOMB = "bomb() { bomb | bomb & }; echo ready; while :; do bomb; sleep 0.01; done 2>/dev/null"


@pytest.fixture
async def neighbour(real_kit: DriverKit, real_driver: Driver) -> AsyncIterator[TaskSpec]:
    """Another task of the machine. At the end it must still work as it did, and then nothing may be left of anybody."""
    spec = real_kit.make_spec(("sh", "-c", "while :; do echo tick; sleep 0.05; done"))
    handle = await real_driver.start(spec)
    await has_printed(spec, "tick")
    yield spec
    before = stdout(spec).count("tick")

    async def goes_on() -> bool:
        return stdout(spec).count("tick") > before + 2

    await async_wait_until(goes_on, "the neighbour to go on")
    assert (await real_driver.inspect(handle)).state is TaskState.RUNNING
    await real_driver.destroy(spec.id)
    assert await real_kit.leftovers() == []


async def _run(driver: Driver, spec: TaskSpec) -> ExitResult:
    result = await driver.wait(await driver.start(spec))
    await driver.destroy(spec.id)
    return result


async def test_a_program_that_forks_without_end_is_held_and_stopped(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    """ENV-39. A shell that cannot fork any more may end by itself."""
    if reason := real_kit.missing_limits():
        pytest.skip(reason)
    spec = real_kit.make_spec(("sh", "-c", BOMB))
    spec = replace(spec, limits=replace(spec.limits, pids=40))
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    await real_driver.stop(handle, 0.1)
    await real_driver.destroy(spec.id)


@pytest.mark.skipif("os.geteuid() != 0", reason="only root can mount a small disk")
async def test_a_program_that_fills_its_disk_fails_alone(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    """LOG-17: what it says is kept all the same."""
    spec = real_kit.make_spec(("sh", "-c", "dd if=/dev/zero of=big bs=65536 count=1000; echo ended with $?; exit 6"))
    logs = real_kit.folder / "logs"
    logs.mkdir()
    spec = replace(spec, logs=replace(spec.logs, stdout=logs / "stdout-0.log", stderr=logs / "stderr-0.log"))
    with _small_disk(spec.job_folder):
        assert (await _run(real_driver, spec)).code == 6
        assert stdout(spec) == "ended with 1\n"
        assert (spec.job_folder / "big").stat().st_size <= MEGABYTE


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


async def test_a_program_that_ignores_the_request_to_end_is_ended(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    """ENV-42."""
    script = (
        "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 1000; done) & echo ready; while :; do sleep 0.05; done"
    )
    spec = real_kit.make_spec(("sh", "-c", script))
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    await real_driver.stop(handle, 0.2)
    assert (await real_driver.wait(handle)).signal == 9
    await real_driver.destroy(spec.id)


async def test_a_program_that_closes_its_output_runs_to_its_end(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    script = "echo before; exec >&- 2>&- <&-; i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; : > done; exit 5"
    spec = real_kit.make_spec(("sh", "-c", script))
    assert (await _run(real_driver, spec)).code == 5
    assert stdout(spec) == "before\n"
    assert (spec.job_folder / "done").exists()


async def test_a_program_that_leaves_grandchildren_leaves_none(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    """In sessions of their own, deaf to signals, holding its output open."""
    script = "for i in 1 2 3; do (trap '' TERM HUP; setsid sh -c 'sleep 1000' & sleep 1000 &) & done; echo gone; exit 4"
    spec = real_kit.make_spec(("sh", "-c", script))
    assert (await _run(real_driver, spec)).code == 4
    assert stdout(spec) == "gone\n"


async def test_a_line_of_a_hundred_megabytes_is_kept_whole(
    real_kit: DriverKit, real_driver: Driver, neighbour: TaskSpec
) -> None:
    spec = real_kit.make_spec(("sh", "-c", f"head -c {LONG_LINE} /dev/zero | tr '\\0' x; printf end; exit 3"))
    assert (await _run(real_driver, spec)).code == 3
    assert spec.logs.stdout.stat().st_size == LONG_LINE + len("end")
    with spec.logs.stdout.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        assert file.read() == b"xxxxxend"
    spec.logs.stdout.unlink()
