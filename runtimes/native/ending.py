"""How a task ends: by itself, asked, or forced."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtimes.native import cgroup, processes
from runtimes.native.task_folder import Started, TaskFolder
from runtimes.types import ExitResult

GONE_WITHIN_SECONDS = 10.0


async def ended(folder: TaskFolder, started: Started) -> ExitResult:
    """Wait for the end. The exit status is the waiter's to tell; without it the end is seen and the status is lost."""
    if started.boot == processes.boot_id():
        await processes.wait_until_gone(started.waiter)
        # Somebody killed the waiter: the workload may run on, and nobody will know its status.
        if folder.exit() is None:
            await processes.wait_until_gone(started.workload)
    return folder.exit() or ExitResult()


def result_now(folder: TaskFolder, started: Started) -> ExitResult | None:
    """How it ended, None while it runs."""
    if is_running(started):
        return folder.exit()
    # Read after looking: the waiter writes before it leaves.
    return folder.exit() or ExitResult()


def is_running(started: Started) -> bool:
    if started.boot != processes.boot_id():
        return False
    return processes.is_alive(started.waiter) or processes.is_alive(started.workload)


def members(task: Mapping[str, Any], started: Started) -> list[int]:
    """Every process of the task now."""
    if started.boot != processes.boot_id():
        return []
    cgroups = folders(task)
    return cgroup.members(cgroups) if cgroup.exist(cgroups) else processes.family(started.waiter, started.workload)


def kill(task: Mapping[str, Any], started: Started) -> None:
    """SIGKILL to everyone; returns when nobody is left. Raises `TimeoutError` if the kernel does not let go."""
    if started.boot != processes.boot_id():
        return
    cgroup.kill(folders(task))
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    # Also with a control group: a task that runs as root can leave it.
    while pids := processes.family(started.waiter, started.workload):
        processes.send(pids, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} do not end after SIGKILL")
        time.sleep(0.002)


def folders(task: Mapping[str, Any]) -> list[Path]:
    return [Path(folder) for folder in task["cgroups"]]
