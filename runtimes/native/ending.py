"""How a task ends: by itself, asked, or forced."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from runtimes.native import cgroup, processes
from runtimes.native.task_folder import Started, TaskFolder
from runtimes.types import ExitResult

GONE_WITHIN_SECONDS = 10.0
SUCCEEDED_WITHIN_SECONDS = 0.02
"""What a launcher usually takes to succeed a waiter that was killed."""


async def ended(folder: TaskFolder, started: Started, carry_on: Callable[[], Awaitable[bool]]) -> ExitResult:
    """Wait for the end. The exit status is the waiter's to tell, or its successor's; without them and their launcher
    the end is seen and the status is lost. `carry_on` makes a successor where no launcher is left to do so."""
    if started.boot == processes.boot_id():
        await processes.wait_until_gone(started.waiter)
        while folder.exit() is None and folder.folder.exists() and await _is_carried_on(folder, started, carry_on):
            pass
    return folder.exit() or ExitResult()


async def _is_carried_on(folder: TaskFolder, started: Started, carry_on: Callable[[], Awaitable[bool]]) -> bool:
    """Wait for whoever took the killed waiter's place. False: nobody did, and there is nothing left to wait for."""
    successor = folder.successor()
    if successor is not None and processes.is_alive(successor):
        await processes.wait_until_gone(successor)
    elif processes.is_alive(started.launcher):
        await asyncio.sleep(SUCCEEDED_WITHIN_SECONDS)
    elif processes.is_alive(started.workload):
        if await carry_on():
            await asyncio.sleep(SUCCEEDED_WITHIN_SECONDS)
        else:
            await processes.wait_until_gone(started.workload)
    else:
        return False
    return True


def result_now(folder: TaskFolder, started: Started) -> ExitResult | None:
    """How it ended, None while it runs."""
    if is_running(folder, started):
        return folder.exit()
    # Read after looking: the waiter writes before it leaves.
    return folder.exit() or ExitResult()


def is_running(folder: TaskFolder, started: Started) -> bool:
    """Also when it ended and whoever has to tell so is still about to."""
    if started.boot != processes.boot_id():
        return False
    if any(map(processes.is_alive, (started.waiter, started.workload, started.launcher))):
        return True
    successor = folder.successor()
    return successor is not None and processes.is_alive(successor)


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
