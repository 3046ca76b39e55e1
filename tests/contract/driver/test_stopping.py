"""A task ends when it is told to, and is gone without trace when it is destroyed."""

from __future__ import annotations

import asyncio

import pytest

from runtimes.abilities import ListsTasks
from runtimes.driver import Driver
from runtimes.errors import TaskNotFound
from runtimes.types import FoundTask, TaskHandle, TaskId, TaskState
from tests.contract.driver.kits import PROVIDER, DriverKit, unique_name
from tests.contract.driver.programs import Program
from tests.contract.driver.waiting import has_printed, stdout


async def test_stop_asks_first(driver_kit: DriverKit, driver: Driver) -> None:
    """ENV-42: what the program prints on SIGTERM is kept, and its own exit code counts."""
    spec = driver_kit.make_spec(Program(out="ready", seconds=None, says_goodbye="bye", exit=3))
    handle = await driver.start(spec)
    await has_printed(spec, "ready")
    await driver.stop(handle, 60)
    assert (await driver.wait(handle)).code == 3
    assert stdout(spec) == "ready\nbye\n"


async def test_stop_forces_after_the_grace(driver_kit: DriverKit, driver: Driver) -> None:
    """ENV-42."""
    spec = driver_kit.make_spec(Program(out="ready", seconds=None, ignores_term=True))
    handle = await driver.start(spec)
    await has_printed(spec, "ready")
    await driver.stop(handle, 0.2)
    result = await driver.wait(handle)
    assert (result.signal, result.code) in [(9, None), (None, 137)]
    assert not result.out_of_memory


async def test_stop_reaches_every_process_of_a_task(real_kit: DriverKit, real_driver: Driver) -> None:
    """Also one in a session of its own that ignores SIGTERM, and one whose parent has gone."""
    script = "trap '' TERM; (sleep 1000 &); setsid sleep 1000 & echo ready; while :; do sleep 0.05; done"
    spec = real_kit.make_spec(("sh", "-c", script))
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    await real_driver.stop(handle, 0.1)
    assert [found for found in await real_kit.leftovers() if found.startswith("process")] == []


async def test_stop_may_be_called_twice_and_on_an_ended_task(driver_kit: DriverKit, driver: Driver) -> None:
    handle = await driver.start(driver_kit.make_spec(Program(seconds=None)))
    await driver.stop(handle, 0)
    result = await driver.wait(handle)
    await driver.stop(handle, 60)
    assert await driver.wait(handle) == result


async def test_stop_and_destroy_of_a_task_that_never_was_succeed(driver: Driver) -> None:
    unknown = TaskId(unique_name(), "1")
    await driver.stop(TaskHandle(driver.name, unknown), 60)
    await driver.destroy(unknown)


async def test_a_cancelled_stop_can_be_repeated(driver_kit: DriverKit, driver: Driver) -> None:
    spec = driver_kit.make_spec(Program(out="ready", seconds=None, ignores_term=True))
    handle = await driver.start(spec)
    await has_printed(spec, "ready")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(driver.stop(handle, 60), 0.05)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    await driver.stop(handle, 0)
    assert (await driver.inspect(handle)).state == TaskState.ENDED


@pytest.mark.parametrize("program", [Program(out="done"), Program(out="done", seconds=None, ignores_term=True)])
async def test_destroy_leaves_only_the_job_folder_and_its_logs(
    driver_kit: DriverKit, driver: Driver, program: Program
) -> None:
    """ENV-57, for an ended and for a running task; twice."""
    before = await driver_kit.leftovers()
    spec = driver_kit.make_spec(program, files={"rank.txt": b"0\n", "sub/more.txt": b"1\n"})
    handle = await driver.start(spec)
    await has_printed(spec, "done")
    if program.seconds is not None:
        await driver.wait(handle)
    assert await driver_kit.leftovers() != before
    await driver.destroy(spec.id)
    await driver.destroy(spec.id)
    assert await driver_kit.leftovers() == before
    assert stdout(spec) == "done\n"
    with pytest.raises(TaskNotFound):
        await driver.recover(spec.id)


async def test_whoever_waits_hears_that_the_task_was_destroyed(driver_kit: DriverKit, driver: Driver) -> None:
    """Its end, or that it vanished: but never silence."""
    spec = driver_kit.make_spec(Program(out="ready", seconds=None))
    handle = await driver.start(spec)
    await has_printed(spec, "ready")
    waiting = asyncio.create_task(driver.wait(handle))
    await asyncio.sleep(0)
    await driver.destroy(spec.id)
    outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    assert isinstance(outcome, TaskNotFound) or outcome.signal == 9 or outcome.code == 137


async def test_tasks_are_listed_until_they_are_destroyed(driver_kit: DriverKit, driver: Driver) -> None:
    """ENV-59: only those of the provider that asks, running or ended."""
    assert isinstance(driver, ListsTasks)
    running = driver_kit.make_spec(Program(seconds=None))
    ended = driver_kit.make_spec(Program())
    await driver.start(running)
    await driver.wait(await driver.start(ended))
    found = {task.id: task for task in await driver.list_tasks(PROVIDER) if task.id in (running.id, ended.id)}
    assert found == {spec.id: FoundTask(spec.id, spec.labels, found[spec.id].created_at) for spec in (running, ended)}
    assert await driver.list_tasks("another-provider") == []
    await driver.destroy(running.id)
    await driver.destroy(ended.id)
    assert not {running.id, ended.id} & {task.id for task in await driver.list_tasks(PROVIDER)}
