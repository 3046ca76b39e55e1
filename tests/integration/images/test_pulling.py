"""Images come from a real registry, once, and it is told how far they are (ENV-54)."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.types import Progress, TaskSpec
from tests.integration.images.conftest import Machine, MakeTask
from tests.support.registry import Registry, SlowLine, noise, program_layer
from tests.support.wait import async_wait_until, wait_until

SLOW = 3_000_000
"""Bytes a second: a few megabytes then take long enough for everybody to come."""


def via(line: SlowLine, image: str) -> str:
    """The same image over that line."""
    return f"127.0.0.1:{line.port}/{image.partition('/')[2]}"


def attempts(registry: Registry, name: str) -> int:
    """Pulls of this image: each begins with this question."""
    return len([path for method, path, _ in registry.requests(name) if method == "HEAD" and "/manifests/" in path])


async def until_it_comes(driver: DockerDriver, task: TaskSpec) -> Progress:
    """The first progress that tells a share."""

    async def look() -> Progress | None:
        told = driver.progress(task.id)
        return told if told and "%" in told.detail else None

    found = await async_wait_until(look, "the progress to be told")
    assert found is not None
    return found


async def test_an_image_is_fetched_once_for_all_tasks_of_all_processes_and_runs(
    machine: Machine, registry: Registry, line: SlowLine, name: str, make_task: MakeTask
) -> None:
    image = via(line, registry.put(name, "1.0", [program_layer(), noise(3)]))
    line.rate = SLOW
    tasks, driver = [make_task(image) for _ in range(3)], machine.driver()
    asking = [asyncio.create_task(driver.prepare(task)) for task in tasks]
    other = await machine.process(image, 2)
    assert other.stdout is not None
    assert await asyncio.gather(*asking) == [None] * 3
    assert (await other.stdout.read()).decode().split() == ["ready"] * 2
    assert attempts(registry, name) == 1
    fetched = [path for path in registry.fetched(name) if "/blobs/" in path]
    assert len(fetched) == len(set(fetched)) >= 2, "once each; the shell's layer may be there from another test"
    ended = await driver.wait(await driver.start(tasks[0]))
    assert ended.code == 0
    assert tasks[0].logs.stdout.read_text() == "it runs\n"


async def test_an_image_that_is_there_is_not_asked_for(
    machine: Machine, registry: Registry, name: str, make_task: MakeTask
) -> None:
    image = registry.put(name, "1.0", [program_layer()])
    driver = machine.driver()
    await driver.prepare(make_task(image))
    before = registry.requests(name)
    await driver.prepare(make_task(image))
    assert registry.requests(name) == before


@pytest.mark.parametrize("tag", ["", ":1.0"])
async def test_an_image_may_be_named_by_its_digest(
    machine: Machine, registry: Registry, name: str, make_task: MakeTask, tag: str
) -> None:
    registry.put(name, "1.0", [program_layer()])
    driver, task = machine.driver(), make_task(f"{registry.host}/{name}{tag}@{registry.digest(name, '1.0')}")
    await driver.prepare(task)
    assert (await driver.wait(await driver.start(task))).code == 0


async def test_it_is_told_how_far_it_is_in_the_process_that_fetches_and_in_those_that_wait(
    machine: Machine, registry: Registry, line: SlowLine, name: str, make_task: MakeTask
) -> None:
    image = via(line, registry.put(name, "1.0", [noise(4)]))
    line.rate = SLOW
    fetching, waiting = machine.driver(), machine.driver()
    one, other = make_task(image), make_task(image)
    asking = [asyncio.create_task(fetching.prepare(one))]
    first = await until_it_comes(fetching, one)
    asking.append(asyncio.create_task(waiting.prepare(other)))
    second = await until_it_comes(waiting, other)
    line.rate = None
    await asyncio.gather(*asking)
    for told in (first, second):
        assert told.doing == f"Fetching the image {image}"
        assert told.detail.endswith(" % of 4.0 MB")
    assert fetching.progress(one.id) is waiting.progress(other.id) is None


async def test_another_process_takes_over_from_one_that_was_killed(
    machine: Machine, registry: Registry, line: SlowLine, name: str, make_task: MakeTask
) -> None:
    image = via(line, registry.put(name, "1.0", [noise(3)]))
    line.rate = SLOW
    first = await machine.process(image, 1)
    driver, task = machine.driver(), make_task(image)

    async def begun() -> bool:
        return attempts(registry, name) == 1

    await async_wait_until(begun, "the first process to pull")
    asking = asyncio.create_task(driver.prepare(task))
    await until_it_comes(driver, task)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    line.rate = None
    await asking
    assert attempts(registry, name) == 2


async def test_the_daemon_stops_when_nobody_wants_the_image_any_more(
    machine: Machine, registry: Registry, line: SlowLine, name: str, make_task: MakeTask
) -> None:
    """REC-18: the one who leaves does so at once."""
    image = via(line, registry.put(name, "1.0", [noise(20)]))
    line.rate = SLOW
    driver, task = machine.driver(), make_task(image)
    asking = asyncio.create_task(driver.prepare(task))
    await until_it_comes(driver, task)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()

    async def quiet() -> bool:
        return line.connections == 0

    await async_wait_until(quiet, "the daemon to close its connection")
    assert line.carried < 20_000_000
    assert driver.progress(task.id) is None


async def test_a_registry_that_is_away_for_a_moment_is_waited_for(
    machine: Machine, name: str, make_task: MakeTask
) -> None:
    """ENV-55: it goes in the middle of a layer, and comes back."""
    own = Registry(machine.folder / "registry")
    own.start()
    slow = SlowLine(own.port, SLOW)
    driver = machine.driver(retry_seconds=60)
    try:
        task = make_task(via(slow, own.put(name, "1.0", [program_layer(), noise(6)])))
        asking = asyncio.create_task(driver.prepare(task))
        await until_it_comes(driver, task)
        own.kill()

        async def troubled() -> bool:
            told = driver.progress(task.id)
            return told is not None and told.detail == "the registry does not answer; it is tried again"

        await async_wait_until(troubled, "the trouble to be told")
        slow.rate = None
        threading.Thread(target=own.start).start()
        await asking
        ended = await driver.wait(await driver.start(task))
        assert ended.code == 0
    finally:
        slow.close()
        wait_until(lambda: own.process, "the registry to be started")
        own.kill()
