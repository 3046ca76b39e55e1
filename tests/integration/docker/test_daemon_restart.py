"""The daemon goes away and comes back while a container runs (D1, D4)."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from runtimes.docker import strays
from runtimes.docker.driver import DockerDriver
from runtimes.errors import RuntimeUnavailable, TaskNotFound
from runtimes.settings import DockerSettings
from runtimes.types import ExitResult, TaskHandle, TaskSpec, TaskState
from tests.integration.docker.conftest import MakeTask
from tests.support import dockerd, images
from tests.support.wait import async_wait_until, wait_until

PROC = Path("/proc")
WAITS = "runc:[2:INIT]"


@pytest.fixture
def daemon() -> Iterator[dockerd.PrivateDaemon]:
    """A daemon that only this test has."""
    if not dockerd.can_start():
        pytest.skip("a Docker daemon of its own can only be started by root, with Debian's docker.io installed")
    daemon = dockerd.PrivateDaemon(Path(tempfile.mkdtemp(prefix="dockerd-")))
    try:
        daemon.start()
        images.tiny_image(dockerd.client(daemon.url))
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
async def driver(daemon: dockerd.PrivateDaemon, tmp_path: Path) -> AsyncIterator[DockerDriver]:
    driver = DockerDriver(DockerSettings(tmp_path / "state", base_url=daemon.url))
    yield driver
    await driver.close()


Break = Callable[[dockerd.PrivateDaemon], None]


@pytest.mark.parametrize("end", [dockerd.PrivateDaemon.stop, dockerd.PrivateDaemon.kill], ids=["stopped", "killed"])
async def test_a_container_outlives_the_daemon_and_its_end_is_told(
    daemon: dockerd.PrivateDaemon, driver: DockerDriver, make_task: MakeTask, end: Break
) -> None:
    task = make_task("echo before; until [ -e go ]; do sleep 0.02; done; echo after; exit 7")
    handle = await driver.start(task)
    await _has_printed(task, "before")
    waiting = asyncio.create_task(driver.wait(handle))
    await asyncio.to_thread(end, daemon)
    with pytest.raises(RuntimeUnavailable):
        await driver.inspect(handle)
    await asyncio.to_thread(daemon.start)
    assert (await driver.inspect(handle)).state is TaskState.RUNNING
    (task.job_folder / "go").touch()
    assert (await _result(driver, handle, waiting)).code == 7
    assert task.logs.stdout.read_text() == "before\nafter\n"


async def test_the_end_of_a_container_that_ended_while_the_daemon_was_away_is_told(
    daemon: dockerd.PrivateDaemon, driver: DockerDriver, make_task: MakeTask
) -> None:
    task = make_task("echo before; until [ -e go ]; do sleep 0.02; done; echo > gone; exit 9")
    handle = await driver.start(task)
    await _has_printed(task, "before")
    await asyncio.to_thread(daemon.stop)
    (task.job_folder / "go").touch()

    async def has_gone() -> bool:
        return (task.job_folder / "gone").exists()

    await async_wait_until(has_gone, "the program to end")
    await asyncio.to_thread(daemon.start)
    assert (await driver.wait(await driver.recover(task.id))).code == 9
    assert task.logs.stdout.read_text() == "before\n"
    assert handle.id == task.id


async def test_a_daemon_that_is_away_makes_nothing_gone(
    daemon: dockerd.PrivateDaemon, driver: DockerDriver, make_task: MakeTask
) -> None:
    """D4: unknown, in every call."""
    task = make_task("sleep 1000")
    handle = await driver.start(task)
    await asyncio.to_thread(daemon.stop)
    calls = {
        "wait": driver.wait(handle),
        "stop": driver.stop(handle, 0),
        "destroy": driver.destroy(task.id),
        "usage": driver.usage(handle),
        "recover": driver.recover(task.id),
        "start": driver.start(task),
        "list": driver.list_tasks("x"),
        "prepare": driver.prepare(dataclasses.replace(task)),
    }
    outcomes = dict(zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True))
    assert {name: type(outcome) for name, outcome in outcomes.items()} == dict.fromkeys(calls, RuntimeUnavailable)
    capabilities = await driver.capabilities()
    assert not capabilities.available
    assert "start its daemon" in capabilities.reason
    await asyncio.to_thread(daemon.start)
    assert (await driver.inspect(handle)).state is TaskState.RUNNING
    await driver.destroy(task.id)
    with pytest.raises(TaskNotFound):
        await driver.inspect(handle)


async def test_a_container_that_the_daemon_was_starting_when_it_was_killed_is_started_by_the_next(
    daemon: dockerd.PrivateDaemon, driver: DockerDriver, make_task: MakeTask
) -> None:
    """REC-3. The daemon has forgotten what containerd has of it, and would refuse every start."""
    task = make_task("echo once; until [ -e go ]; do sleep 0.02; done")
    await _killed_while_it_starts(daemon, driver, task)
    before = task.logs.stdout.read_text()  # of those that were further on when the daemon was killed
    handle = await driver.start(task)
    await _has_printed(task, before + "once")
    (task.job_folder / "go").touch()
    await driver.wait(handle)
    assert task.logs.stdout.read_text() == before + "once\n"


async def test_what_is_left_of_a_start_goes_with_its_task(
    daemon: dockerd.PrivateDaemon, driver: DockerDriver, make_task: MakeTask
) -> None:
    task = make_task("sleep 1000")
    container = await _killed_while_it_starts(daemon, driver, task)
    await driver.destroy(task.id)
    assert [*strays._of_container(container, PROC), *strays._shims(container, PROC)] == []


async def _killed_while_it_starts(daemon: dockerd.PrivateDaemon, driver: DockerDriver, task: TaskSpec) -> str:
    """The container's number; another daemon runs. Its program was made and never begun."""
    for _ in range(5):  # the moment is short, and the daemon may be faster
        container = await _killed_about_then(daemon, driver, task)
        if [name for _, name in strays._of_container(container, PROC)] == [WAITS]:
            return container
        await driver.destroy(task.id)
    raise AssertionError("the daemon was never killed at the right moment")


async def _killed_about_then(daemon: dockerd.PrivateDaemon, driver: DockerDriver, task: TaskSpec) -> str:
    starting = asyncio.create_task(driver.start(task))
    with closing(dockerd.client(daemon.url)) as api:

        async def made() -> str:
            return next((one["Id"] for one in api.containers(all=True) if f"/{task.id.name}" in one["Names"]), "")

        container = await async_wait_until(made, "the container to be made")
    await asyncio.to_thread(wait_until, lambda: list(strays._of_container(container, PROC)), "its first process")
    await asyncio.to_thread(_wait_for_the_moment, container)
    assert daemon.process is not None
    daemon.process.kill()
    await asyncio.to_thread(daemon.kill)
    with suppress(RuntimeUnavailable):
        await starting
    await asyncio.to_thread(daemon.start)
    return container


def _wait_for_the_moment(container: str) -> None:
    """Those who made the first process have left it to the shim; the daemon is about to hear of it."""
    first = min(pid for pid, _ in [*strays._of_container(container, PROC), (2**31, "")])
    shims, end = list(strays._shims(container, PROC)), time.monotonic() + 3
    while not any(_parent(pid) in shims and _is_ready(pid) for pid in range(first, first + 30)):
        if time.monotonic() > end:
            return


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _is_ready(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text() == f"{WAITS}\n"
    return False


async def _result(driver: DockerDriver, handle: TaskHandle, waiting: asyncio.Task[ExitResult]) -> ExitResult:
    """A wait that the outage ended is begun again, as the control plane does."""
    try:
        return await waiting
    except RuntimeUnavailable:
        return await driver.wait(handle)


async def _has_printed(task: TaskSpec, text: str) -> None:
    async def look() -> bool:
        return task.logs.stdout.exists() and text in task.logs.stdout.read_text()

    await async_wait_until(look, f"{text!r} in the log")
