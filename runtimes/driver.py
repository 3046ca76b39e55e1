"""The contract of a driver. One suite, `tests/contract`, runs over every implementation.

         prepare            start                       the workload ends
    (nothing) ──▶ (nothing) ─────▶ RUNNING ───────────────────────────────▶ ENDED
                                    │  ▲ recover: attach again,               │
                                    │  │ in any process, at any time          │ recover
                                    └──┴── stop: SIGTERM, grace, SIGKILL ─────┤
                                                                  destroy ────┴──▶ (nothing)

Promises that every driver keeps:

* **The workload outlives its starter (D1).** Killing the process that called `start` does not touch it, and its
  exit status can be had afterwards from another process.
* **`start` may be called twice.** With the id of a task that exists it attaches to that task; it never starts a second
  copy (REC-3). A task of the same name and another incarnation is refused with `errors.NameTaken`.
* **`stop` and `destroy` may be called twice, and "already gone" is success.**
* **`wait` returns when the task has ended and everything that it wrote is in its log files.**
* Cancelling any call (the caller leaves) does not touch the workload. Only `stop` and `destroy` do.
* Errors are those of `errors`, never the library's own.

Drivers are asyncio objects: blocking libraries are called in threads of the driver's own.
"""

from __future__ import annotations

from typing import Protocol

from runtimes.types import Capabilities, ExitResult, LogPaths, TaskHandle, TaskId, TaskSpec, TaskStatus, Usage


class Driver(Protocol):
    """Runs tasks of one kind on this machine."""

    name: str
    """`docker`, `native`, `scripted`; the value of `TaskHandle.driver`."""

    async def capabilities(self) -> Capabilities:
        """Try whether tasks can run here. Cheap enough to be called every few seconds; never raises."""
        ...

    async def prepare(self, spec: TaskSpec) -> None:
        """Fetch what a start needs (an image) and check what can be checked. May take minutes; changes no task.

        Raises `errors.ImageUnavailable`, `errors.InvalidTask`, `errors.RuntimeUnavailable`.
        """
        ...

    async def start(self, spec: TaskSpec) -> TaskHandle:
        """Start the task, or attach to it if this very id exists already. Returns once its program was launched.

        A program that cannot be executed is not an error: the task ends with code 126 or 127 (LC-12).
        Raises `errors.StartFailed`, `errors.NameTaken`, `errors.InvalidTask`, `errors.RuntimeUnavailable`; nothing
        is left behind by a failed start.
        """
        ...

    async def recover(self, id: TaskId) -> TaskHandle:
        """Find a task that was started earlier, running or ended, perhaps by a process that died before it could tell.

        Raises `errors.TaskNotFound` when this machine surely has no such task, `errors.RuntimeUnavailable` when that
        is unknown (D4).
        """
        ...

    async def wait(self, handle: TaskHandle) -> ExitResult:
        """Wait for the end. Raises `errors.TaskNotFound` if it vanished, `errors.RuntimeUnavailable` if unknown."""
        ...

    async def stop(self, handle: TaskHandle, grace_seconds: float) -> None:
        """SIGTERM to the task, SIGKILL after the grace; returns when nothing of it runs any more."""
        ...

    async def destroy(self, id: TaskId) -> None:
        """Kill what runs and remove every trace except the log files and the job folder."""
        ...

    async def inspect(self, handle: TaskHandle) -> TaskStatus:
        """The task's state now. Raises `errors.TaskNotFound`."""
        ...

    async def usage(self, handle: TaskHandle) -> Usage:
        """What it uses now. Raises `errors.TaskNotFound` also for an ended task."""
        ...

    async def logs(self, handle: TaskHandle) -> LogPaths:
        """Where its output is, resuming a copy that a restart interrupted."""
        ...

    async def close(self) -> None:
        """Let go of sockets and threads. Workloads go on."""
        ...
