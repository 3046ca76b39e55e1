"""Processes that are not our children: are they alive, when do they end, who belongs to them.

A process id alone is not an identity, because the kernel gives it to another process later; with the start time of the
process, and within one boot of the machine, it is.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from runtimes import readiness

POLL_SECONDS = 0.1
"""Only where the kernel has no process descriptors (before Linux 5.3) or a limit of open files is reached."""


class ProcessId(NamedTuple):
    pid: int
    start: int
    """Clock ticks after the boot, as /proc tells."""


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_alive(process: ProcessId) -> bool:
    return start_of(process.pid) == process.start


def start_of(pid: int) -> int | None:
    """When the process of this id was started; None if there is none, or one that only waits to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if stat[0] in "ZX" else int(stat[19])


async def wait_until_gone(process: ProcessId) -> None:
    """Told by the kernel, without looking again and again; any process of any parent."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except OSError:
        await _poll_until_gone(process)
        return
    try:
        # Only now the identity is checked: the descriptor stays with whomever it was opened for.
        if is_alive(process):
            await readiness.readable(descriptor)
    finally:
        os.close(descriptor)


async def _poll_until_gone(process: ProcessId) -> None:
    while True:
        if not is_alive(process):
            return
        await asyncio.sleep(POLL_SECONDS)


def family(waiter: ProcessId, workload: ProcessId) -> list[int]:
    """Everyone of a task without a control group.

    The waiter adopts orphans, so its descendants are everyone. Without the waiter there are the workload's descendants
    and the members of its session; who left both cannot be found any more.
    """
    if is_alive(waiter):
        return _descendants(waiter.pid)
    members = {workload.pid, *_descendants(workload.pid)} if is_alive(workload) else set()
    return sorted(members | set(_session(workload)))


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _session(workload: ProcessId) -> list[int]:
    """A session's id stays taken while it has members, so it still is the workload's."""
    found = []
    for pid in psutil.pids():
        with suppress(OSError):
            if os.getsid(pid) == workload.pid and (start_of(pid) or 0) >= workload.start:
                found.append(pid)
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
