"""What one rank used over time, kept in a small file beside its private logs: a line per sample, a bounded number.

Written by `usage_sampler` in the replica actor, read by the relay. A line is numbers with commas between them, in the
order of `Sample`; nothing stands for what the kernel does not count.

While samples are few they are taken often. When the file is full every other one is dropped, and from then on they are
taken half as often: a job of a minute and one of a year both have some hundred points, evenly spread.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

FIRST_INTERVAL = 5
"""Seconds."""

MOST_SAMPLES = 360
"""A file of this many is thinned out: half an hour at first, then an hour, ..."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: int
    """Milliseconds since the epoch, a multiple of the interval: ranks that are drawn together share their times."""
    cpu_millis: int
    """Milliseconds of processor time since the start."""
    memory: int
    """Bytes."""
    processes: int
    network_received: int | None = None
    """Bytes since the start, as the following ones."""
    network_sent: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None


def usage_path(stdout: Path) -> Path:
    """Where the samples of the rank are whose output this is: `stdout-3.log` has `usage-3.csv` beside it."""
    return stdout.with_name(stdout.name.replace("stdout-", "usage-", 1)).with_suffix(".csv")


def line(sample: Sample) -> str:
    return ",".join("" if value is None else str(value) for value in astuple(sample)) + "\n"


def parse(data: bytes) -> list[Sample]:
    """Whole lines only: the last one may be in the making. A damaged line is left out."""
    lines = data[: data.rfind(b"\n") + 1].decode("ascii", errors="replace").splitlines()
    return [sample for text in lines if (sample := _sample(text)) is not None]


def _sample(text: str) -> Sample | None:
    try:
        at, cpu, memory, processes, *rest = (int(word) if word else None for word in text.split(","))
    except ValueError:
        return None
    if at is None or cpu is None or memory is None or processes is None or len(rest) != 4:
        return None
    return Sample(at, cpu, memory, processes, *rest)


def interval_of(samples: Sequence[Sample]) -> int:
    """Seconds between samples of a file that holds these; what an earlier writer had arrived at."""
    if len(samples) < 2:
        return FIRST_INTERVAL
    shortest = min(later.at - earlier.at for earlier, later in itertools.pairwise(samples)) // 1000
    interval = FIRST_INTERVAL
    while interval * 2 <= shortest:
        interval *= 2
    return interval


@dataclass(slots=True)
class UsageTail:
    """Reads the file as it grows, and again from its beginning after it was thinned out (a new file then)."""

    path: Path
    was_reset: bool = False
    """Whether the lines of the last `read` replace all earlier ones."""
    _inode: int = 0
    _offset: int = 0

    def read(self) -> bytes:
        """New whole lines; empty if there are none."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return self._read(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, fd: int) -> bytes:
        status = os.fstat(fd)
        again = status.st_ino != self._inode or status.st_size < self._offset
        if again:
            self._offset = 0
        data = os.pread(fd, status.st_size - self._offset, self._offset)
        data = data[: data.rfind(b"\n") + 1]
        if data:
            self.was_reset = again and self._inode != 0
            self._inode = status.st_ino
            self._offset += len(data)
        return data
