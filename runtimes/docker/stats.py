"""What a container uses, from its control groups. Not `docker stats`: that takes at least a second per call.

Called by `driver` in a thread. Serves version 1 and 2 of control groups, told apart by what the kernel says of the
container's first process. Memory is what the limit counts less file cache that could be dropped at once, the number
that people expect.
"""

from __future__ import annotations

from pathlib import Path

from runtimes.types import Usage

_NANOSECONDS = 1_000_000_000
_MICROSECONDS = 1_000_000


def usage(pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Usage:
    """What the control group of this process uses. Raises `FileNotFoundError` when the process has ended."""
    groups = _groups(proc / str(pid) / "cgroup")
    if "memory" in groups:
        return _usage_v1({name: cgroups / name / path.lstrip("/") for name, path in groups.items()})
    return _usage_v2(cgroups / groups[""].lstrip("/"))


def _groups(file: Path) -> dict[str, str]:
    """Controller to path; the unified hierarchy under the empty name."""
    groups = {}
    for line in file.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _usage_v1(folders: dict[str, Path]) -> Usage:
    memory = folders["memory"]
    used = _number(memory / "memory.usage_in_bytes") - _entry(memory / "memory.stat", "total_inactive_file")
    return Usage(
        cpu_seconds=_number(folders["cpuacct"] / "cpuacct.usage") / _NANOSECONDS,
        memory_bytes=max(0, used),
        processes=_number(folders["pids"] / "pids.current"),
    )


def _usage_v2(folder: Path) -> Usage:
    used = _number(folder / "memory.current") - _entry(folder / "memory.stat", "inactive_file")
    return Usage(
        cpu_seconds=_entry(folder / "cpu.stat", "usage_usec") / _MICROSECONDS,
        memory_bytes=max(0, used),
        processes=_number(folder / "pids.current"),
    )


def _number(file: Path) -> int:
    return int(file.read_text())


def _entry(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
