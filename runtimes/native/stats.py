"""What a task uses now: from its control group, else summed over its processes.

Called by `driver`. The group is told by the task's folder, which never changes; its gauge is kept.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from runtimes.gauges import Gauge
from runtimes.native import ending, processes
from runtimes.native.task_folder import Started
from runtimes.types import Usage

MOST_PROCESSES = 1000
"""That are looked at one by one."""


def gauge(task: Mapping[str, Any]) -> Gauge | None:
    """None without control groups, or when they are gone."""
    with suppress(FileNotFoundError):
        return Gauge(ending.folders(task))
    return None


def of_processes(started: Started) -> Usage:
    used = [_of_process(pid) for pid in _family(started)[:MOST_PROCESSES]]
    return Usage(sum(u.cpu_seconds for u in used), sum(u.memory_bytes for u in used), sum(u.processes for u in used))


def _family(started: Started) -> list[int]:
    """From the kernel's own lists of children, which costs what the family is large; where the kernel was built without
    them, from a look at every process of the machine."""
    if not processes.is_alive(started.waiter) or not _kernel_lists_children():
        return processes.family(started.waiter, started.workload)
    found: list[int] = []
    unseen = [started.waiter.pid]
    while unseen and len(found) < MOST_PROCESSES:
        children = _children(unseen.pop())
        found += children
        unseen += children
    return found


@functools.cache
def _kernel_lists_children() -> bool:
    pid = os.getpid()
    return Path(f"/proc/{pid}/task/{pid}/children").exists()


def _children(pid: int) -> list[int]:
    """Of every thread of it; none of a process that has just ended."""
    with suppress(OSError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return []


def _of_process(pid: int) -> Usage:
    """Children that ended are counted by the parent that collected them."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
    except psutil.Error:
        return Usage(0.0, 0, 0)
    return Usage(cpu.user + cpu.system + cpu.children_user + cpu.children_system, memory.rss, 1)
