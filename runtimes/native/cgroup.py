"""Control groups of tasks: limits that bite, who belongs to a task. What it uses is in `runtimes.gauges`.

Both versions of the kernel's interface: version 1 has one tree per controller, version 2 one tree for all. A task has
a child `<cgroup_root>/<task>` in every tree that it needs, and everything here works on that list of folders: each
function reads the files that exist.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runtimes.native import processes
from runtimes.types import Limits

NEEDED = ("cpu", "memory", "pids")
"""Without all of these a task has no hard limits."""
USEFUL = ("cpuacct", "devices")
"""Only version 1 has them: version 2 counts anyway, and forbids devices by programs in the kernel (not done here)."""
PERIOD_MICROSECONDS = 100_000
LEAST_QUOTA_MICROSECONDS = 1_000
"""The kernel refuses less."""
GONE_WITHIN_SECONDS = 10.0
"""How long killed processes may take to leave, which only the kernel can delay."""


@dataclass(frozen=True, slots=True)
class Parents:
    """Our own control groups, one per tree, below which the tasks get theirs."""

    version: int
    folders: tuple[Path, ...]
    files: tuple[frozenset[str], ...]
    """Names of the files in each of them, and so in the groups of the tasks below."""


class NotWritable(Exception):
    """Why there are no hard limits here, for an operator."""


def open_parents(root: str, mounts: Path = Path("/proc/self/mounts")) -> Parents:
    """Make our control groups, or find them made. Raises `NotWritable`."""
    trees = _trees(mounts)
    try:
        if all(controller in trees for controller in NEEDED):
            wanted = (*NEEDED, *(controller for controller in USEFUL if controller in trees))
            # Controllers that are mounted together (`cpu,cpuacct`) are one tree.
            return _list(1, dict.fromkeys(_make(trees[controller] / root) for controller in wanted))
        if "2" in trees:
            return _list(2, [_delegate(trees["2"], root)])
    except OSError as error:
        raise NotWritable(f"cannot use {error.filename}: {error.strerror}") from error
    raise NotWritable("the controllers cpu, memory and pids are not mounted")


def _trees(mounts: Path) -> dict[str, Path]:
    """Controller to mount point; "2" is the unified tree."""
    trees: dict[str, Path] = {}
    for line in mounts.read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup":
            trees.update({option: Path(folder) for option in options.split(",") if option in (*NEEDED, *USEFUL)})
        elif kind == "cgroup2":
            trees["2"] = Path(folder)
    return trees


def _list(version: int, found: Iterable[Path]) -> Parents:
    groups = tuple(found)
    return Parents(version, groups, tuple(frozenset(os.listdir(folder)) for folder in groups))


def _make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _delegate(tree: Path, root: str) -> Path:
    """Each level of version 2 hands the controllers to the next one."""
    for folder in (tree, _make(tree / root)):
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in NEEDED))
    return tree / root


def create(parents: Parents, name: str, limits: Limits) -> None:
    """May be called twice. Raises `OSError`."""
    wanted = _settings(limits)
    for folder, files in zip(folders(parents, name), parents.files, strict=True):
        _make(folder)
        for file, value in wanted.items():
            if file in files:
                _set(folder / file, value)


def forbid(parents: Parents, name: str, devices: Sequence[tuple[int, int]]) -> None:
    """Nobody in the group may open these character devices, by major and minor number. Raises `OSError`."""
    for folder, files in zip(folders(parents, name), parents.files, strict=True):
        if "devices.deny" in files:
            for major, minor in devices:
                _set(folder / "devices.deny", f"c {major}:{minor} rwm")


def folders(parents: Parents, name: str) -> tuple[Path, ...]:
    return tuple(parent / name for parent in parents.folders)


def _settings(limits: Limits) -> dict[str, int | str]:
    """File to value, in the order of writing, for both versions."""
    quota = max(limits.cpu_milli * PERIOD_MICROSECONDS // 1000, LEAST_QUOTA_MICROSECONDS)
    return {
        "cpu.cfs_period_us": PERIOD_MICROSECONDS,
        "cpu.cfs_quota_us": quota,
        "cpu.max": f"{quota} {PERIOD_MICROSECONDS}",
        "memory.limit_in_bytes": limits.memory_bytes,
        # After the line above: memory and swap together may not be less than memory alone.
        "memory.memsw.limit_in_bytes": limits.memory_bytes,
        "memory.max": limits.memory_bytes,
        "memory.swap.max": 0,
        "pids.max": limits.pids,
    }


def _set(file: Path, value: int | str) -> None:
    with suppress(FileNotFoundError), open(os.open(file, os.O_WRONLY | os.O_CLOEXEC), "w") as opened:
        opened.write(str(value))


def members(cgroups: Sequence[Path]) -> list[int]:
    """Who is in it now. A process without /proc entry, or one that has ended, is not listed by the kernel."""
    for folder in cgroups:
        with suppress(OSError):
            return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    return []


def exist(cgroups: Sequence[Path]) -> bool:
    return any(folder.exists() for folder in cgroups)


def kill(cgroups: Sequence[Path]) -> None:
    """Kill everyone and return when they are gone. Forbidding forks first keeps a fork bomb from winning.

    Raises `TimeoutError` if the kernel does not let go of them.
    """
    for folder in cgroups:
        _set(folder / "pids.max", 0)
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while pids := members(cgroups):
        processes.send(pids, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} do not end after SIGKILL")
        time.sleep(0.002)


def remove(cgroups: Sequence[Path]) -> None:
    """Kill everyone and remove the groups; those that are gone count as removed. Raises `OSError`."""
    kill(cgroups)
    for folder in cgroups:
        _remove(folder, time.monotonic() + GONE_WITHIN_SECONDS)


def _remove(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # busy: the last process is still leaving, or the task made groups of its own
            _remove_inner(folder, deadline)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _remove_inner(folder: Path, deadline: float) -> None:
    with suppress(FileNotFoundError):
        for inner in [path for path in folder.iterdir() if path.is_dir()]:
            processes.send(members([inner]), signal.SIGKILL)
            _remove(inner, deadline)
