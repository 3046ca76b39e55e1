"""One task runs once, however often it is started and by whom, and any process can find it again (D1, REC-2, REC-3)."""

from __future__ import annotations

import asyncio

import pytest

from runtimes.driver import Driver
from runtimes.errors import NameTaken, TaskNotFound
from runtimes.types import TaskHandle, TaskId, TaskState
from tests.contract.driver.kits import DriverKit, another_incarnation, unique_name
from tests.contract.driver.programs import Program
from tests.contract.driver.waiting import has_printed, stdout


async def test_a_second_start_attaches(driver_kit: DriverKit, driver: Driver) -> None:
    """REC-3."""
    spec = driver_kit.make_spec(Program(out="started", seconds=None))
    first = await driver.start(spec)
    await has_printed(spec, "started")
    second = await driver.start(spec)
    assert first == second
    await driver.stop(second, 0)
    assert stdout(spec) == "started\n"


async def test_a_start_of_an_ended_task_does_not_run_it_again(driver_kit: DriverKit, driver: Driver) -> None:
    spec = driver_kit.make_spec(Program(out="started", exit=4))
    await driver.wait(await driver.start(spec))
    again = await driver.start(spec)
    assert (await driver.wait(again)).code == 4
    assert stdout(spec) == "started\n"


async def test_another_incarnation_is_refused_until_the_first_is_destroyed(
    driver_kit: DriverKit, driver: Driver
) -> None:
    """REC-3: two attempts of one name never run at once."""
    spec = driver_kit.make_spec(Program(out="started", seconds=None))
    handle = await driver.start(spec)
    await has_printed(spec, "started")
    with pytest.raises(NameTaken):
        await driver.start(another_incarnation(spec))
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    await driver.destroy(spec.id)
    await driver.start(another_incarnation(spec))
    await has_printed(spec, "started\nstarted\n")


async def test_another_incarnation_is_neither_found_nor_touched(driver_kit: DriverKit, driver: Driver) -> None:
    spec = driver_kit.make_spec(Program(seconds=None))
    handle = await driver.start(spec)
    stranger = another_incarnation(spec).id
    with pytest.raises(TaskNotFound):
        await driver.recover(stranger)
    await driver.stop(TaskHandle(driver.name, stranger, handle.version, handle.data), 0)
    await driver.destroy(stranger)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING


async def test_concurrent_starts_run_one_copy(driver_kit: DriverKit, driver: Driver) -> None:
    """REC-3, also between two drivers, which is what two processes have."""
    other = driver_kit.make_driver()
    spec = driver_kit.make_spec(Program(out="started", exit=6))
    handles = await asyncio.gather(*(each.start(spec) for each in (driver, other) * 4))
    results = await asyncio.gather(*(driver.wait(handle) for handle in handles))
    await other.close()
    assert {result.code for result in results} == {6}
    assert stdout(spec) == "started\n"


async def test_concurrent_starts_of_two_incarnations_run_one(driver_kit: DriverKit, driver: Driver) -> None:
    other = driver_kit.make_driver()
    spec = driver_kit.make_spec(Program(out="started"))
    outcomes = await asyncio.gather(driver.start(spec), other.start(another_incarnation(spec)), return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, TaskHandle)]
    assert [type(outcome) for outcome in outcomes if outcome not in winners] == [NameTaken]
    await driver.wait(winners[0])
    await other.close()
    assert stdout(spec) == "started\n"


async def test_another_driver_finds_a_running_task_by_its_id_alone(driver_kit: DriverKit, driver: Driver) -> None:
    """REC-2."""
    spec = driver_kit.make_spec(Program(out="ready", seconds=None, says_goodbye="bye", exit=9))
    await driver.start(spec)
    await has_printed(spec, "ready")
    await driver.close()
    other = driver_kit.make_driver()
    handle = await other.recover(spec.id)
    assert (await other.inspect(handle)).state == TaskState.RUNNING
    await other.stop(handle, 30)
    assert (await other.wait(handle)).code == 9
    assert await other.logs(handle) == spec.logs
    await other.close()
    assert stdout(spec) == "ready\nbye\n"


async def test_another_driver_finds_the_exit_of_an_ended_task(driver_kit: DriverKit, driver: Driver) -> None:
    """REC-2."""
    spec = driver_kit.make_spec(Program(exit=7))
    result = await driver.wait(await driver.start(spec))
    other = driver_kit.make_driver()
    assert await other.wait(await other.recover(spec.id)) == result
    await other.close()


async def test_several_wait_for_one_task(driver_kit: DriverKit, driver: Driver) -> None:
    other = driver_kit.make_driver()
    handle = await driver.start(driver_kit.make_spec(Program(seconds=0.1, exit=2)))
    results = await asyncio.gather(driver.wait(handle), driver.wait(handle), other.wait(handle))
    await other.close()
    assert [result.code for result in results] == [2, 2, 2]


async def test_a_cancelled_wait_does_not_touch_the_task(driver_kit: DriverKit, driver: Driver) -> None:
    spec = driver_kit.make_spec(Program(out="ready", seconds=None))
    handle = await driver.start(spec)
    waiting = asyncio.create_task(driver.wait(handle))
    await has_printed(spec, "ready")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await driver.inspect(handle)).state == TaskState.RUNNING


async def test_a_cancelled_start_leaves_at_most_one_task_which_a_second_start_gets(
    driver_kit: DriverKit, driver: Driver
) -> None:
    spec = driver_kit.make_spec(Program(out="started", exit=8))
    starting = asyncio.create_task(driver.start(spec))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert (await driver.wait(await driver.start(spec))).code == 8
    assert stdout(spec) == "started\n"


async def test_a_task_that_never_was_is_not_found(driver_kit: DriverKit, driver: Driver) -> None:
    unknown = TaskId(unique_name(), "1")
    with pytest.raises(TaskNotFound):
        await driver.recover(unknown)
    for call in (driver.wait, driver.inspect, driver.usage):
        with pytest.raises(TaskNotFound):
            await call(TaskHandle(driver.name, unknown))
