"""Fails, stalls, crashes and recovers as told. No process is started; docs/scripted-driver.md has the words.

For tests and demonstrations of everything above a driver. It keeps every promise of the contract, and the same suite
proves it; it reads and writes its small files directly on the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runtimes import logfiles, variables
from runtimes.errors import (
    ImageUnavailable,
    InvalidTask,
    NameTaken,
    RuntimeUnavailable,
    StartFailed,
    TaskNotFound,
)
from runtimes.scripted import script
from runtimes.scripted.clock import Clock, SystemClock
from runtimes.scripted.task_files import StoredTask, TaskFiles
from runtimes.settings import ScriptedSettings
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

LOOK_AGAIN_SECONDS = 0.05
"""A waiting driver looks this often whether another one stopped the task."""
MEMORY_BYTES = 1_048_576


class ScriptedDriver:
    """Implements `driver.Driver` and `abilities.ListsTasks`."""

    name = "scripted"

    def __init__(self, settings: ScriptedSettings, clock: Clock | None = None) -> None:
        self._files = TaskFiles(settings.state_dir)
        self._clock = clock or SystemClock()

    async def capabilities(self) -> Capabilities:
        if self._files.switched_off:
            return Capabilities(available=False, reason="the scripted runtime is switched off: remove the file `down`")
        return Capabilities(available=True)

    async def prepare(self, spec: TaskSpec) -> None:
        self._require_runtime()
        told = script.parse(variables.resolve(spec, {}).words)
        if self._strikes(spec.id, told, "image-missing"):
            raise ImageUnavailable(f"there is no image {spec.image or 'of this name'}", retryable=False)
        if self._strikes(spec.id, told, "image-unavailable"):
            raise ImageUnavailable("the registry does not answer", retryable=True)
        if not spec.job_folder.is_dir():
            raise InvalidTask(f"the job folder {spec.job_folder} does not exist")

    async def start(self, spec: TaskSpec) -> TaskHandle:
        self._require_runtime()
        spec = variables.resolve(spec, {})
        told = script.parse(spec.words)
        if not self._is_started(spec.id):
            await self._launch(spec, told)
        if self._strikes(spec.id, told, "lose-reply"):
            raise RuntimeUnavailable("the runtime's answer was lost")
        return self._handle(spec.id)

    async def _launch(self, spec: TaskSpec, told: script.Script) -> None:
        if not spec.job_folder.is_dir():
            raise InvalidTask(f"the job folder {spec.job_folder} does not exist")
        if self._strikes(spec.id, told, "fail-start"):
            raise StartFailed("the script says that this start fails")
        if self._strikes(spec.id, told, "fail-start-retryable"):
            raise RuntimeUnavailable("the script says that this start fails for now")
        if told.stall_start:
            await self._clock.sleep(told.stall_start)
        if self._files.create(_stored(spec, self._clock.now())):
            # Only whoever made the task prints, so that it prints once.
            _print(spec.logs.stdout, told.stdout)
            _print(spec.logs.stderr, told.stderr)
        else:
            self._is_started(spec.id)

    def _is_started(self, id: TaskId) -> bool:
        task = self._files.get(id.name)
        if task is not None and task.incarnation != id.incarnation:
            raise NameTaken(f"another attempt at {id.name} is still here: destroy it first")
        return task is not None

    async def recover(self, id: TaskId) -> TaskHandle:
        self._find(id)
        return self._handle(id)

    async def wait(self, handle: TaskHandle) -> ExitResult:
        while True:
            task = self._find(handle.id)
            result = self._result(task)
            if result is not None:
                return result
            await self._clock.sleep(self._until_next_look(task))

    async def stop(self, handle: TaskHandle, grace_seconds: float) -> None:
        self._require_runtime()
        task = self._files.find(handle.id)
        if task is None or self._result(task) is not None:
            return
        self._terminate(task)
        if not await self._ends_within(handle.id, grace_seconds):
            self._files.mark(handle.id, "kill_at", self._clock.now())

    def _terminate(self, task: StoredTask) -> None:
        told = task.script
        first = self._files.mark(TaskId(task.name, task.incarnation), "term_at", self._clock.now())
        if first and told.goodbye is not None:
            _print(Path(task.stdout), (told.goodbye,))

    async def _ends_within(self, id: TaskId, seconds: float) -> bool:
        deadline = self._clock.now() + seconds
        while (task := self._files.find(id)) is not None and self._result(task) is None:
            left = deadline - self._clock.now()
            if left <= 0:
                return False
            await self._clock.sleep(min(left, self._until_next_look(task)))
        return True

    async def destroy(self, id: TaskId) -> None:
        self._require_runtime()
        self._files.remove(id)

    async def inspect(self, handle: TaskHandle) -> TaskStatus:
        task = self._find(handle.id)
        result = self._result(task)
        return TaskStatus(TaskState.RUNNING if result is None else TaskState.ENDED, task.started_at, result)

    async def usage(self, handle: TaskHandle) -> Usage:
        task = self._find(handle.id)
        if self._result(task) is not None:
            raise TaskNotFound(f"{task.name} has ended")
        return Usage(self._clock.now() - task.started_at, MEMORY_BYTES, 1)

    async def logs(self, handle: TaskHandle) -> LogPaths:
        task = self._find(handle.id)
        return LogPaths(Path(task.stdout), Path(task.stderr))

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        self._require_runtime()
        ours = (task for task in self._files.all() if task.labels.get("ucloud-ray/provider") == provider_id)
        return [FoundTask(TaskId(task.name, task.incarnation), task.labels, task.started_at) for task in ours]

    async def close(self) -> None:
        """Nothing is open."""

    def _find(self, id: TaskId) -> StoredTask:
        self._require_runtime()
        task = self._files.find(id)
        if task is None or self._clock.now() >= task.started_at + task.script.vanish:
            raise TaskNotFound(f"there is no scripted task {id.name} of this attempt")
        if self._strikes(id, task.script, "runtime-down"):
            raise RuntimeUnavailable("the script says that the runtime does not answer for now")
        return task

    def _result(self, task: StoredTask) -> ExitResult | None:
        """How it ended, None while it runs."""
        end = script.end(task.script, task.started_at, task.signals)
        return end[1] if end is not None and end[0] <= self._clock.now() else None

    def _until_next_look(self, task: StoredTask) -> float:
        end = script.end(task.script, task.started_at, task.signals)
        return LOOK_AGAIN_SECONDS if end is None else min(max(end[0] - self._clock.now(), 0.0), LOOK_AGAIN_SECONDS)

    def _strikes(self, id: TaskId, told: script.Script, fault: str) -> bool:
        return self._files.strike(id, fault, told.faults.get(fault, 0))

    def _require_runtime(self) -> None:
        if self._files.switched_off:
            raise RuntimeUnavailable("the scripted runtime is switched off")

    def _handle(self, id: TaskId) -> TaskHandle:
        return TaskHandle(driver=self.name, id=id)


def _stored(spec: TaskSpec, now: float) -> StoredTask:
    return StoredTask(
        name=spec.id.name,
        incarnation=spec.id.incarnation,
        labels=dict(spec.labels),
        argv=list(spec.words),
        stdout=str(spec.logs.stdout),
        stderr=str(spec.logs.stderr),
        started_at=now,
    )


def _print(log: Path, lines: Sequence[str]) -> None:
    file = logfiles.open_append(log)
    try:
        os.write(file, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    finally:
        os.close(file)
