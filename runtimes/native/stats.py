"""What a task uses now: from its control group, else summed over its processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil

from runtimes.native import cgroup, ending
from runtimes.native.task_folder import Started
from runtimes.types import Usage


def usage(task: Mapping[str, Any], started: Started) -> Usage:
    cgroups = ending.folders(task)
    if cgroup.exist(cgroups):
        return cgroup.usage(cgroups)
    used = [_of_process(pid) for pid in ending.members(task, started)]
    return Usage(sum(u.cpu_seconds for u in used), sum(u.memory_bytes for u in used), sum(u.processes for u in used))


def _of_process(pid: int) -> Usage:
    """Children that ended are counted by the parent that collected them."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
    except psutil.Error:
        return Usage(0.0, 0, 0)
    return Usage(cpu.user + cpu.system + cpu.children_user + cpu.children_system, memory.rss, 1)
