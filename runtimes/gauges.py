"""What a control group uses, read from the kernel's files: cheap enough for a thousand tasks every few seconds.

Used by the drivers of containers and processes. Both versions of control groups: version 1 has a folder per controller,
version 2 one for all; a gauge looks once which files there are. Memory is what the limit counts less file cache that
could be dropped at once, the number that people expect.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from runtimes.types import TaskId, Usage

MOST_PROCESSES = 64
"""Of a group of more the disk is told by the group alone: looking at each process costs too much."""

_LONGEST = 64 * 1024


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """A file of the kernel and how to read it."""

    path: str
    parse: Callable[[str], T]

    def read(self) -> T:
        return self.parse(_read(self.path))


class Gauge:
    """One control group. Raises `FileNotFoundError` when it does not exist, now or in a later `read`.

    Args:
        folders: of the group, in each tree.
        network_of: process id whose network is the group's own; None if it has none.
    """

    def __init__(self, folders: Iterable[Path], network_of: int | None = None, proc: Path = Path("/proc")) -> None:
        found = list(folders)
        self._cpu = _first(found, {"cpuacct.usage": _nanoseconds, "cpu.stat": _stat_seconds})
        self._memory = _first(found, {"memory.usage_in_bytes": _whole, "memory.current": _whole})
        self._cache = _first(found, {"memory.stat": _droppable})
        self._count = _first(found, {"pids.current": _whole, "cgroup.procs": _lines})
        self._members = _first(found, {"cgroup.procs": _numbers})
        self._disk = _first(
            found,
            {
                "blkio.throttle.io_service_bytes_recursive": _disk_v1,
                "blkio.throttle.io_service_bytes": _disk_v1,
                "io.stat": _disk_v2,
            },
        )
        self._proc = str(proc)
        self._network_of = network_of
        if self._cpu is None and self._memory is None:
            raise FileNotFoundError("there is no such control group")

    def read(self) -> Usage:
        disk_read, disk_written = self._disk_bytes()
        received, sent = self._network()
        return Usage(
            cpu_seconds=self._cpu.read() if self._cpu else 0.0,
            memory_bytes=self._memory_bytes(),
            processes=self._count.read() if self._count else 0,
            network_received=received,
            network_sent=sent,
            disk_read=disk_read,
            disk_written=disk_written,
        )

    def _memory_bytes(self) -> int:
        used = self._memory.read() if self._memory else 0
        return max(0, used - (self._cache.read() if self._cache else 0))

    def _disk_bytes(self) -> tuple[int | None, int | None]:
        """The greater of what the group and what its processes count: version 1 does not charge a group for what the
        kernel writes later, and a process takes its count with it when it ends."""
        counts = [self._disk.read() if self._disk else None, self._of_processes()]
        known = [count for count in counts if count is not None]
        return (max(c[0] for c in known), max(c[1] for c in known)) if known else (None, None)

    def _of_processes(self) -> tuple[int, int] | None:
        pids = self._members.read() if self._members else []
        if not 0 < len(pids) <= MOST_PROCESSES:
            return None
        counts = []
        for pid in pids:
            with contextlib.suppress(OSError):  # it has just ended, or may not be looked at
                counts.append(_process_io(_read(f"{self._proc}/{pid}/io")))
        return (sum(c[0] for c in counts), sum(c[1] for c in counts)) if counts else None

    def _network(self) -> tuple[int | None, int | None]:
        if self._network_of is None:
            return None, None
        return _interfaces(_read(f"{self._proc}/{self._network_of}/net/dev"))


class Gauges:
    """The gauges of one driver's tasks."""

    def __init__(self) -> None:
        self._known: dict[TaskId, Gauge] = {}

    def keep(self, id: TaskId, gauge: Gauge) -> Gauge:
        self._known[id] = gauge
        return gauge

    def forget(self, id: TaskId) -> None:
        self._known.pop(id, None)

    def read(self, id: TaskId) -> Usage | None:
        """None if there is no gauge, or nothing to measure any more: then the runtime is to be asked what is.

        On the event loop: a few small files of the kernel, for which a thread would cost more.
        """
        gauge = self._known.get(id)
        if gauge is None:
            return None
        with contextlib.suppress(OSError):
            usage = gauge.read()
            if usage.processes:
                return usage
        self.forget(id)
        return None


def _first(folders: list[Path], names: Mapping[str, Callable[[str], T]]) -> Source[T] | None:
    for name, parse in names.items():
        for folder in folders:
            if (folder / name).exists():
                return Source(str(folder / name), parse)
    return None


def _read(path: str) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _LONGEST).decode()
    finally:
        os.close(file)


# ------------------------------------------------------------------------------------------------------- formats


def _whole(text: str) -> int:
    return int(text)


def _nanoseconds(text: str) -> float:
    return int(text) / 1e9


def _stat_seconds(text: str) -> float:
    return _entry(text, "usage_usec ") / 1e6


def _droppable(text: str) -> int:
    """`total_` includes the groups below, which version 2 always does."""
    return _entry(text, "total_inactive_file ") or _entry(text, "inactive_file ")


def _entry(text: str, key: str) -> int:
    """The number behind the key that begins a line."""
    return next((int(line[len(key) :]) for line in text.splitlines() if line.startswith(key)), 0)


def _lines(text: str) -> int:
    return text.count("\n")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _disk_v1(text: str) -> tuple[int, int]:
    """`8:0 Read 4096`, a line per device and direction."""
    words = [line.split() for line in text.splitlines()]
    sums = {kind: sum(int(w[2]) for w in words if len(w) == 3 and w[1] == kind) for kind in ("Read", "Write")}
    return sums["Read"], sums["Write"]


def _disk_v2(text: str) -> tuple[int, int]:
    """`8:0 rbytes=4096 wbytes=0 ...`, a line per device."""
    pairs = [word.partition("=") for line in text.splitlines() for word in line.split()[1:]]
    read = sum(int(value) for key, _, value in pairs if key == "rbytes")
    return read, sum(int(value) for key, _, value in pairs if key == "wbytes")


def _process_io(text: str) -> tuple[int, int]:
    return _entry(text, "read_bytes: "), _entry(text, "write_bytes: ")


def _interfaces(text: str) -> tuple[int | None, int | None]:
    """Received and sent by all of them but the loopback; None if there are no others."""
    counts = []
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            columns = numbers.split()
            counts.append((int(columns[0]), int(columns[8])))
    return (sum(c[0] for c in counts), sum(c[1] for c in counts)) if counts else (None, None)
