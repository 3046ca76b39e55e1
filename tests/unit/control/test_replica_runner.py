"""The desk in front of the drivers of a machine: calls that overtake each other leave nothing behind (REC-18)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runtimes import errors
from runtimes.scripted.driver import ScriptedDriver
from runtimes.settings import ScriptedSettings
from runtimes.types import Limits, LogPaths, TaskHandle, TaskId, TaskSpec
from ucloud_ray.control.replica_runner import TaskDesk

ID = TaskId("j-41-job-0", "uid.1")


class SlowDriver(ScriptedDriver):
    """Launches in a thread, as real drivers do: a launch that is cancelled goes on."""

    def __init__(self, settings: ScriptedSettings) -> None:
        super().__init__(settings)
        self.launching = asyncio.Event()
        self.may_launch = asyncio.Event()
        self._launches: set[asyncio.Task[TaskHandle]] = set()

    async def start(self, spec: TaskSpec) -> TaskHandle:
        launch = asyncio.create_task(self._launch_slowly(spec))
        self._launches.add(launch)
        return await asyncio.shield(launch)

    async def _launch_slowly(self, spec: TaskSpec) -> TaskHandle:
        self.launching.set()
        await self.may_launch.wait()
        return await super().start(spec)


@pytest.fixture
def driver(tmp_path: Path) -> SlowDriver:
    return SlowDriver(ScriptedSettings(tmp_path / "state"))


@pytest.fixture
def desk(driver: SlowDriver) -> TaskDesk:
    return TaskDesk(lambda _: driver)


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    folder = tmp_path / "job"
    folder.mkdir()
    logs = LogPaths(tmp_path / "logs/stdout-0.log", tmp_path / "logs/stderr-0.log")
    labels = {"ucloud-ray/provider": "example"}
    return TaskSpec(ID, labels, ("scripted", "run=forever"), {}, folder, logs, Limits(1000, 10**9), "host")


async def test_a_destroy_waits_for_a_launch_that_is_under_way(
    desk: TaskDesk, driver: SlowDriver, spec: TaskSpec
) -> None:
    starting = asyncio.create_task(desk.start("scripted", spec))
    await driver.launching.wait()
    destroying = asyncio.create_task(desk.destroy("scripted", ID))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not destroying.done()
    driver.may_launch.set()
    await destroying
    await asyncio.gather(starting, *driver._launches, return_exceptions=True)
    assert await driver.list_tasks("example") == []
    assert not desk.known


async def test_a_task_that_was_destroyed_never_starts(desk: TaskDesk, driver: SlowDriver, spec: TaskSpec) -> None:
    driver.may_launch.set()
    await desk.destroy("scripted", ID)
    with pytest.raises(errors.StartFailed):
        await desk.start("scripted", spec)
    assert await driver.list_tasks("example") == []
    assert not desk.known


async def test_two_starts_of_a_task_are_one(desk: TaskDesk, driver: SlowDriver, spec: TaskSpec) -> None:
    both = asyncio.gather(desk.start("scripted", spec), desk.start("scripted", spec))
    driver.may_launch.set()
    one, other = await both
    assert one == other
    assert len(driver._launches) == 1


async def test_a_caller_that_leaves_does_not_cancel_the_start(
    desk: TaskDesk, driver: SlowDriver, spec: TaskSpec
) -> None:
    starting = asyncio.create_task(desk.start("scripted", spec))
    await driver.launching.wait()
    starting.cancel()
    driver.may_launch.set()
    handle = await desk.start("scripted", spec)
    assert handle.id == ID
    assert len(driver._launches) == 1


async def test_a_wait_that_comes_after_the_destroy_is_not_remembered(desk: TaskDesk, driver: SlowDriver) -> None:
    await desk.destroy("scripted", ID)
    with pytest.raises(errors.TaskNotFound):
        await desk.wait("scripted", TaskHandle("scripted", ID))
    assert not desk.known


async def test_output_that_cannot_be_written_is_a_failed_start(desk: TaskDesk, spec: TaskSpec, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(errors.StartFailed, match="log cannot be written"):
        await desk.start("scripted", spec)


async def test_waits_of_a_supervisor_that_is_gone_end_when_the_next_one_begins(
    desk: TaskDesk, driver: SlowDriver, spec: TaskSpec
) -> None:
    """Else each restart leaves one more of them for each task, until the actor takes no more calls."""
    driver.may_launch.set()
    handle = await desk.start("scripted", spec)
    former = [asyncio.create_task(desk.wait("scripted", handle)) for _ in range(3)]
    await asyncio.sleep(0)
    assert desk.waiting == 3
    desk.take_over()
    mine = asyncio.create_task(desk.wait("scripted", handle))
    assert [type(end) for end in await asyncio.gather(*former, return_exceptions=True)] == [
        errors.RuntimeUnavailable
    ] * 3
    assert desk.waiting == 1
    await desk.stop("scripted", handle, 0)
    assert (await mine).signal is not None
    assert desk.waiting == 0


async def test_a_wait_that_its_caller_leaves_is_left(desk: TaskDesk, driver: SlowDriver, spec: TaskSpec) -> None:
    driver.may_launch.set()
    waiting = asyncio.create_task(desk.wait("scripted", await desk.start("scripted", spec)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert desk.waiting == 0
