"""Faults on command, in virtual time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runtimes.errors import DriverError, ImageUnavailable, InvalidTask, RuntimeUnavailable, StartFailed, TaskNotFound
from runtimes.scripted.clock import VirtualClock
from runtimes.scripted.driver import ScriptedDriver
from runtimes.settings import ScriptedSettings
from runtimes.types import ExitResult, Limits, LogPaths, TaskId, TaskSpec, TaskState

ID = TaskId("j-1-job-0", "1")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1000.0)


@pytest.fixture
def driver(tmp_path: Path, clock: VirtualClock) -> ScriptedDriver:
    return ScriptedDriver(ScriptedSettings(tmp_path / "state"), clock)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def a_spec(job: Path, words: str) -> TaskSpec:
    return TaskSpec(
        id=ID,
        labels={},
        argv=("scripted", *words.split()),
        environment={},
        job_folder=job,
        logs=LogPaths(job / "out", job / "err"),
        limits=Limits(1000, 10**8),
        hostname="node-0",
    )


async def test_a_task_ends_at_its_time_and_not_before(driver: ScriptedDriver, clock: VirtualClock, job: Path) -> None:
    handle = await driver.start(a_spec(job, "run=20s exit=3"))
    waiting = asyncio.create_task(driver.wait(handle))
    await clock.advance(19)
    assert not waiting.done()
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    await clock.advance(1)
    assert await waiting == ExitResult(code=3, finished_at=1020.0)


async def test_a_stop_takes_the_whole_grace_when_the_task_ignores_it(
    driver: ScriptedDriver, clock: VirtualClock, job: Path
) -> None:
    """ENV-42."""
    handle = await driver.start(a_spec(job, "run=forever ignore-term"))
    stopping = asyncio.create_task(driver.stop(handle, 10))
    await clock.advance(9.9)
    assert not stopping.done()
    await clock.advance(0.2)
    await stopping
    assert await driver.wait(handle) == ExitResult(signal=9, finished_at=1010.0)


async def test_a_task_takes_its_time_to_shut_down(driver: ScriptedDriver, clock: VirtualClock, job: Path) -> None:
    handle = await driver.start(a_spec(job, "run=forever term-takes=4s goodbye=bye exit=2"))
    stopping = asyncio.create_task(driver.stop(handle, 10))
    await clock.advance(4)
    await stopping
    assert await driver.wait(handle) == ExitResult(code=2, finished_at=1004.0)
    assert (job / "out").read_text() == "bye\n"


async def test_a_stop_by_another_driver_is_noticed(
    driver: ScriptedDriver, clock: VirtualClock, job: Path, tmp_path: Path
) -> None:
    handle = await driver.start(a_spec(job, "run=forever"))
    waiting = asyncio.create_task(driver.wait(handle))
    await clock.advance(1)
    await ScriptedDriver(ScriptedSettings(tmp_path / "state"), clock).stop(handle, 0)
    await clock.advance(1)
    assert (await waiting).signal == 15


@pytest.mark.parametrize(
    ("word", "error", "retryable"),
    [
        ("image-missing", ImageUnavailable, False),
        ("image-unavailable", ImageUnavailable, True),
    ],
)
async def test_an_image_that_cannot_be_had_is_told_before_the_start(
    driver: ScriptedDriver, job: Path, word: str, error: type[DriverError], retryable: bool
) -> None:
    with pytest.raises(error) as caught:
        await driver.prepare(a_spec(job, word))
    assert caught.value.retryable is retryable
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)


async def test_a_start_that_fails_leaves_nothing(driver: ScriptedDriver, job: Path) -> None:
    for _ in range(3):
        with pytest.raises(StartFailed):
            await driver.start(a_spec(job, "fail-start stdout=x"))
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)
    assert os.listdir(job) == []


async def test_a_fault_strikes_as_often_as_told_over_all_drivers(
    driver: ScriptedDriver, clock: VirtualClock, job: Path, tmp_path: Path
) -> None:
    other = ScriptedDriver(ScriptedSettings(tmp_path / "state"), clock)
    for each in (driver, other):
        with pytest.raises(RuntimeUnavailable):
            await each.start(a_spec(job, "fail-start-retryable:2"))
    handle = await driver.start(a_spec(job, "fail-start-retryable:2"))
    assert (await other.wait(handle)).code == 0


async def test_a_lost_reply_has_started_the_task(driver: ScriptedDriver, job: Path) -> None:
    spec = a_spec(job, "lose-reply stdout=started")
    with pytest.raises(RuntimeUnavailable):
        await driver.start(spec)
    assert (await driver.wait(await driver.start(spec))).code == 0
    assert (job / "out").read_text() == "started\n"


async def test_a_runtime_that_is_down_for_some_calls_is_unknown_and_not_gone(driver: ScriptedDriver, job: Path) -> None:
    """D4."""
    handle = await driver.start(a_spec(job, "run=forever runtime-down:2"))
    for call in (driver.wait, driver.inspect):
        with pytest.raises(RuntimeUnavailable):
            await call(handle)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING


async def test_a_runtime_is_switched_off_by_a_file(driver: ScriptedDriver, job: Path, tmp_path: Path) -> None:
    handle = await driver.start(a_spec(job, "run=forever"))
    (tmp_path / "state" / "down").touch()
    assert not (await driver.capabilities()).available
    for call in (driver.wait(handle), driver.recover(ID), driver.destroy(ID), driver.start(a_spec(job, ""))):
        with pytest.raises(RuntimeUnavailable):
            await call
    (tmp_path / "state" / "down").unlink()
    assert (await driver.capabilities()).available
    assert (await driver.inspect(handle)).state == TaskState.RUNNING


async def test_a_task_vanishes_at_its_time(driver: ScriptedDriver, clock: VirtualClock, job: Path) -> None:
    """REC-4."""
    handle = await driver.start(a_spec(job, "run=forever vanish=5s"))
    waiting = asyncio.create_task(driver.wait(handle))
    await clock.advance(5.1)
    with pytest.raises(TaskNotFound):
        await waiting
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)


async def test_a_start_stalls_until_its_caller_gives_up(driver: ScriptedDriver, clock: VirtualClock, job: Path) -> None:
    starting = asyncio.create_task(driver.start(a_spec(job, "stall-start")))
    await clock.advance(30)
    assert not starting.done()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)


async def test_a_start_that_stalls_for_a_while_then_starts(
    driver: ScriptedDriver, clock: VirtualClock, job: Path
) -> None:
    starting = asyncio.create_task(driver.start(a_spec(job, "stall-start=5s")))
    await clock.advance(5)
    assert (await driver.inspect(await starting)).started_at == 1005.0


async def test_words_that_do_not_exist_start_nothing(driver: ScriptedDriver, job: Path) -> None:
    for call in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask, match="scripted-driver"):
            await call(a_spec(job, "fly"))
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)
