"""The contract for a plain process of this machine (ENV-28). The picture is in `launcher`, the memory in `task_folder`.

Not a sandbox: a process sees the machine as its user does (ENV-29). Limits bite where control groups are writable.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes.abandoned import end_abandoned
from runtimes.errors import DriverError, InvalidTask, RuntimeUnavailable, TaskNotFound
from runtimes.gauges import Gauges
from runtimes.native import cgroup, ending, plan, processes, reach, stats, task_folder
from runtimes.native.launcher_client import LauncherClient, LauncherDied
from runtimes.native.limits import HardLimits
from runtimes.native.os_errors import needing_room, translated
from runtimes.native.starting import Starter
from runtimes.native.task_folder import Started, TaskFolder
from runtimes.native.terminal import NativeTerminal, launch
from runtimes.native.threads import Threads
from runtimes.settings import NativeSettings
from runtimes.terminals import TerminalSize
from runtimes.types import (
    Capabilities,
    ExitResult,
    FoundTask,
    LogPaths,
    TaskHandle,
    TaskId,
    TaskSpec,
    TaskState,
    TaskStatus,
    Usage,
)

REMOVED_WITHIN_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.002


class NativeDriver:
    """Implements `driver.Driver`, `abilities.ListsTasks` and `abilities.OpensTerminals`. Used on one event loop."""

    name = "native"

    def __init__(self, settings: NativeSettings) -> None:
        self._state_dir = settings.state_dir.absolute()
        self._threads = Threads()
        self._limits = HardLimits(settings)
        self._launcher = LauncherClient(self._state_dir / "launcher.log", self._threads.pool)
        self._starter = Starter(self._launcher, self._limits, self._threads)
        self._starts: set[asyncio.Task[None]] = set()
        self._gauges = Gauges()

    async def capabilities(self) -> Capabilities:
        try:
            with translated("the native driver cannot work here"):
                await self._threads.run(self._open_state_dir)
                limits = await self._threads.run(self._limits.describe)
                await self._launcher.request([])
        except DriverError as error:
            return Capabilities(available=False, reason=error.message)
        except LauncherDied:
            log = self._state_dir / "launcher.log"
            return Capabilities(available=False, reason=f"the launcher of processes does not run: see {log}")
        return Capabilities(available=True, details={"limits": limits})

    async def prepare(self, spec: TaskSpec) -> None:
        plan.check(spec)
        if spec.user is not None and spec.user[0] != os.geteuid() and os.geteuid() != 0:
            raise InvalidTask("processes run as the user of this service here: only root can switch to another user")
        _require_program(spec)
        reach.require_reachable(spec, self._state_dir)
        with translated(f"cannot look at {spec.job_folder}"):
            if not spec.job_folder.is_dir():  # it was made a moment ago: a thread costs more than the look
                raise InvalidTask(f"the job folder {spec.job_folder} does not exist")

    async def start(self, spec: TaskSpec) -> TaskHandle:
        plan.check(spec)
        # A start that its caller leaves goes on to its end: half of one helps nobody.
        start = asyncio.create_task(self._start(spec), name=f"start {spec.id.name}")
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)
        start.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(start)
        return self._handle(spec.id)

    async def _start(self, spec: TaskSpec) -> None:
        folder = self._folder(spec.id)
        with translated(f"cannot start {spec.id.name}"), needing_room():
            await self._starter.start(spec, folder)

    async def recover(self, id: TaskId) -> TaskHandle:
        folder = self._folder(id)
        with translated(f"cannot look for {id.name}"):
            if await self._threads.run(folder.task_of, id) is None:
                raise _not_found(id)
            if not await self._starter.another_started_it(folder):
                raise _not_found(id)
        return self._handle(id)

    async def wait(self, handle: TaskHandle) -> ExitResult:
        folder = self._folder(handle.id)
        with translated(f"cannot tell whether {handle.id.name} ended"):
            _, started = _find(folder, handle.id)  # two small files of ours: a thread costs more than reading them
            result = await self._ended(folder, started)
            _find(folder, handle.id)
        return result

    async def ended_within(self, handle: TaskHandle, seconds: float) -> ExitResult | None:
        with suppress(TimeoutError, DriverError):
            async with asyncio.timeout(seconds):
                return await self.wait(handle)
        return None

    async def stop(self, handle: TaskHandle, grace_seconds: float) -> None:
        folder = self._folder(handle.id)
        with translated(f"cannot stop {handle.id.name}"), suppress(TaskNotFound):
            task, started = await self._threads.run(_find, folder, handle.id)
            await self._threads.run(_signal_all, task, started)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self._ended(folder, started)
            if await self._threads.run(folder.exit) is None:
                await self._threads.run(ending.kill, task, started)
            await self._ended(folder, started)

    async def _ended(self, folder: TaskFolder, started: Started) -> ExitResult:
        return await ending.ended(folder, started, lambda: self._starter.carry_on(folder))

    async def destroy(self, id: TaskId) -> None:
        self._gauges.forget(id)
        folder = self._folder(id)
        with translated(f"cannot remove {id.name}"):
            deadline = time.monotonic() + REMOVED_WITHIN_SECONDS
            while not await self._threads.run(_remove, folder, id):
                if time.monotonic() > deadline:
                    raise RuntimeUnavailable(f"cannot remove {id.name}: its waiter does not end")
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def inspect(self, handle: TaskHandle) -> TaskStatus:
        folder = self._folder(handle.id)
        with translated(f"cannot look at {handle.id.name}"):
            _, started = await self._threads.run(_find, folder, handle.id)
            result = await self._threads.run(ending.result_now, folder, started)
        return TaskStatus(TaskState.RUNNING if result is None else TaskState.ENDED, started.at, result)

    async def usage(self, handle: TaskHandle) -> Usage:
        with translated(f"cannot measure {handle.id.name}"):
            if (measured := self._gauges.read(handle.id)) is not None:
                return measured
            return await self._threads.run(self._measure, handle.id)

    def _measure(self, id: TaskId) -> Usage:
        folder = self._folder(id)
        task, started = _find(folder, id)
        if ending.result_now(folder, started) is not None:
            raise TaskNotFound(f"{id.name} has ended")
        gauge = stats.gauge(task)
        return stats.of_processes(started) if gauge is None else self._gauges.keep(id, gauge).read()

    async def logs(self, handle: TaskHandle) -> LogPaths:
        with translated(f"cannot look at {handle.id.name}"):
            task, _ = await self._threads.run(_find, self._folder(handle.id), handle.id)
        return LogPaths(Path(task["stdout"]), Path(task["stderr"]))

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        with translated("cannot list the processes of this machine"):
            tasks = await self._threads.run(task_folder.all_tasks, self._state_dir)
            await self._threads.run(task_folder.sweep_abandoned, self._state_dir)
        return [_found(task) for task in tasks if task["labels"].get("ucloud-ray/provider") == provider_id]

    async def open_terminal(self, id: TaskId, size: TerminalSize) -> NativeTerminal:
        folder = self._folder(id)
        with translated(f"cannot open a terminal in {id.name}"):
            task, started = await self._threads.run(_find, folder, id)
            if await self._threads.run(ending.result_now, folder, started) is not None:
                raise TaskNotFound(f"{id.name} has ended")
            return NativeTerminal(*await self._threads.run(launch, task, started, size), started)

    async def end_abandoned_terminals(self) -> int:
        return await self._threads.run(end_abandoned, self.name)

    async def close(self) -> None:
        if self._starts:
            await asyncio.wait(self._starts)
        await self._launcher.close()
        self._threads.close()

    def _open_state_dir(self) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable", str(self._state_dir))

    def _folder(self, id: TaskId) -> TaskFolder:
        return TaskFolder(self._state_dir, id.name)

    def _handle(self, id: TaskId) -> TaskHandle:
        return TaskHandle(driver=self.name, id=id)


def _require_program(spec: TaskSpec) -> None:
    path = spec.environment.get("PATH", plan.SEARCH_PATH)
    if spec.requires is not None and shutil.which(spec.requires, path=path) is None:
        raise InvalidTask(f"the application needs the program {spec.requires}, which this machine does not have")


def _find(folder: TaskFolder, id: TaskId) -> tuple[dict[str, Any], Started]:
    """Raises `TaskNotFound` also for a task that was never launched: nothing of it ran."""
    task, started = folder.task_of(id), folder.started()
    if task is None or started is None:
        raise _not_found(id)
    return task, started


def _signal_all(task: Mapping[str, Any], started: Started) -> None:
    processes.send(ending.members(task, started), signal.SIGTERM)


def _remove(folder: TaskFolder, id: TaskId) -> bool:
    """One attempt; False while a waiter is still leaving. The folder goes last, because it says what else exists."""
    task = folder.task_of(id)
    if task is None:
        return True
    started = folder.started()
    if started is not None and folder.exit() is None:
        ending.kill(task, started)
    cgroup.remove(ending.folders(task))
    return folder.remove()


def _found(task: Mapping[str, Any]) -> FoundTask:
    return FoundTask(TaskId(task["name"], task["incarnation"]), task["labels"], task["created_at"])


def _not_found(id: TaskId) -> TaskNotFound:
    return TaskNotFound(f"this machine has no process {id.name} of this attempt")
