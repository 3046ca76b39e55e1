"""The replica's side of the control plane: one desk per replica actor, in front of the drivers of its machine.

Called by the replica actor (a shell around this). It adds to a driver what depends on order: a task that was destroyed
never starts afterwards, however the calls overtook each other on their way (REC-18), and a destroy cancels a start
that is still under way. Independent tasks do not wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes import errors, logfiles
from runtimes.abilities import SetsHosts, TellsProgress, TellsQuickEnds
from runtimes.driver import Driver
from runtimes.mounts import beneath
from runtimes.templating.render import render
from runtimes.types import ExitResult, Progress, TaskHandle, TaskId, TaskSpec
from ucloud_ray.control.ports import Started
from ucloud_ray.control.usage_sampler import UsageSampler

REMEMBERED = 10_000
"""How many destroyed tasks are remembered. A call can overtake by seconds, not by ten thousand tasks."""


GLANCE_SECONDS = 0.01
"""How long a started task is looked at. A longer one is told as running that much later."""

LAUNCH_SECONDS = 30.0
"""How long a destroy waits for a launch that is under way."""


class TaskDesk:
    def __init__(
        self,
        driver_of: Callable[[str], Driver],
        launch_seconds: float = LAUNCH_SECONDS,
        usage: UsageSampler | None = None,
    ) -> None:
        """`usage`: keeps what running tasks use; None: nobody wants to know."""
        self._driver_of = driver_of
        self._usage = usage
        self._launch_seconds = launch_seconds
        self._drivers: dict[str, Driver] = {}
        self._starting: dict[TaskId, asyncio.Task[Started]] = {}
        self._launching: set[TaskId] = set()
        self._destroyed: OrderedDict[TaskId, None] = OrderedDict()
        self._known: set[TaskId] = set()
        self._waits: set[asyncio.Task[Any] | None] = set()

    @property
    def known(self) -> frozenset[TaskId]:
        """Tasks that were started, recovered or waited for here and not destroyed yet."""
        return frozenset(self._known)

    async def start(self, driver: str, spec: TaskSpec) -> TaskHandle:
        """Prepare and start, or join the start of this task that is under way."""
        return (await self._started(driver, spec)).handle

    async def _started(self, driver: str, spec: TaskSpec) -> Started:
        if spec.id in self._destroyed:
            raise errors.StartFailed("it was stopped before it started")
        self._known.add(spec.id)
        starting = self._starting.get(spec.id)
        if starting is None:
            starting = asyncio.create_task(self._start(self._driver(driver), spec), name=f"start {spec.id.name}")
            self._starting[spec.id] = starting
            starting.add_done_callback(lambda _: self._starting.pop(spec.id, None))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise errors.StartFailed("it was stopped while it started") from None
            raise

    async def launch(self, driver: str, spec: TaskSpec) -> Started:
        """`start`, and a glance at whether the task ended at once."""
        started = await self._started(driver, spec)
        its_driver = self._driver(driver)
        if not isinstance(its_driver, TellsQuickEnds):
            return started
        return started._replace(exit=await its_driver.ended_within(started.handle, GLANCE_SECONDS))

    async def _start(self, driver: Driver, spec: TaskSpec) -> Started:
        spec, interfaces = await render(spec)
        await asyncio.to_thread(_ready_logs, spec)
        await driver.prepare(spec)
        self._launching.add(spec.id)
        try:
            handle = await driver.start(spec)
        finally:
            self._launching.discard(spec.id)
        for path in (spec.logs.stdout, spec.logs.stderr):
            _publish(path, spec)
        return Started(handle, interfaces=interfaces)

    def progress(self, driver: str, id: TaskId) -> Progress | None:
        """What a start that is under way here is doing."""
        its_driver = self._driver(driver)
        if id in self._starting and isinstance(its_driver, TellsProgress):
            return its_driver.progress(id)
        return None

    async def recover(self, driver: str, id: TaskId) -> TaskHandle:
        self._known.add(id)
        return await self._driver(driver).recover(id)

    async def wait(self, driver: str, handle: TaskHandle) -> ExitResult:
        if handle.id not in self._destroyed:
            self._known.add(handle.id)
            if self._usage is not None:
                self._usage.watch(self._driver(driver), handle)
        result = await self._wait(self._driver(driver), handle)
        self._forget_usage(handle.id)
        return result

    async def _wait(self, driver: Driver, handle: TaskHandle) -> ExitResult:
        mine = asyncio.current_task()
        self._waits.add(mine)
        try:
            return await driver.wait(handle)
        except asyncio.CancelledError:
            if mine in self._waits:
                raise
            raise errors.RuntimeUnavailable("another supervisor waits for it now") from None
        finally:
            self._waits.discard(mine)

    @property
    def waiting(self) -> int:
        """Waits of the present supervisor that are under way."""
        return len(self._waits)

    def take_over(self) -> None:
        """Another supervisor begins: nobody hears the waits of the one before, which else would pile up here."""
        waits, self._waits = self._waits, set()
        for wait in waits:
            if wait is not None:
                wait.cancel()

    def _forget_usage(self, id: TaskId) -> None:
        if self._usage is not None:
            self._usage.forget(id)

    async def stop(self, driver: str, handle: TaskHandle, grace_seconds: float) -> None:
        await self._driver(driver).stop(handle, grace_seconds)

    async def destroy(self, driver: str, id: TaskId) -> None:
        self._destroyed[id] = None
        if len(self._destroyed) > REMEMBERED:
            self._destroyed.popitem(last=False)
        if (starting := self._starting.get(id)) is not None:
            await self._end_start(id, starting)
        self._forget_usage(id)
        await self._driver(driver).destroy(id)
        self._known.discard(id)

    async def _end_start(self, id: TaskId, starting: asyncio.Task[Started]) -> None:
        """A preparation is cut short. A launch may come to its end: one that is cut goes on in a thread of its driver,
        and its task would appear after it was destroyed."""
        if id in self._launching:
            await asyncio.wait([starting], timeout=self._launch_seconds)
        starting.cancel()
        await asyncio.wait([starting])

    async def set_hosts(self, driver: str, id: TaskId, hosts: Mapping[str, str]) -> None:
        """A driver whose tasks have no hosts file of their own has nothing to do."""
        its_driver = self._driver(driver)
        if isinstance(its_driver, SetsHosts):
            await its_driver.set_hosts(id, hosts)

    async def close(self) -> None:
        if self._usage is not None:
            await self._usage.close()
        for driver in self._drivers.values():
            await driver.close()

    def _driver(self, name: str) -> Driver:
        if name not in self._drivers:
            self._drivers[name] = self._driver_of(name)
        return self._drivers[name]


def _publish(path: Path, spec: TaskSpec) -> None:
    """A courtesy: followers read the private file."""
    with suppress(OSError), beneath.held(spec.job_root, spec.job_folder) as folder:
        logfiles.publish(path, folder)


def _ready_logs(spec: TaskSpec) -> None:
    """Their folder, and what earlier lives of the job wrote on other machines."""
    logs = (spec.logs.stdout, spec.logs.stderr)
    try:
        logs[0].parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise errors.StartFailed(f"its log cannot be written ({problem.strerror})", retryable=True) from problem
    if _is_first_life(spec.id):
        return  # what lies in the folder is another job's, which had the same id
    with suppress(OSError), beneath.held(spec.job_root, spec.job_folder) as folder:
        for path in logs:
            if path.parent != spec.job_folder:
                logfiles.take_up(path, folder, spec.user)


def _is_first_life(id: TaskId) -> bool:
    return id.incarnation.rpartition(".")[2] == "1"
