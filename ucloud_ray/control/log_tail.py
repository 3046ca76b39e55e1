"""Reads one growing log file by byte offset: what is there, then what is appended, until told to finish (D9).

Called by the relay. Bytes only; nothing is decoded here. The file may not exist yet and may be deleted (reading goes
on in what was opened). It may be truncated: then reading starts again at 0 (LOG-16). Its beginning may be a hole, where
the janitor gave back the oldest part: what is gone is passed over, and none of it is taken for zeros of the program.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BLOCK = 256 * 1024
"""Bytes of one read at most."""

SCAN = 64 * 1024
"""How far the start of a line is looked for."""

ANCHOR = 32
"""Bytes before the offset that are compared with what was read there: a file that was truncated and has grown beyond
the offset since is told by them, not by its size."""


@dataclass(slots=True)
class LogTail:
    path: Path
    replay_bytes: int
    """How much of what was written before is delivered at most, cut at the start of a line (LOG-5)."""
    begin: int | None = None
    """Go on from this offset instead, where an earlier connection ended."""
    offset: int = 0
    """Behind the last byte that was read."""
    _fd: int | None = None
    _anchor: bytes = b""

    def read(self) -> bytes:
        """The next piece, at most `BLOCK` bytes; empty if there is nothing new at the moment.

        Raises `OSError` when the name belongs to a link (LOG-18).
        """
        if self._fd is None and not self._open():
            return b""
        assert self._fd is not None
        size = os.fstat(self._fd).st_size
        if size == self.offset:
            return b""
        if size < self.offset or not self._is_what_was_read(self._fd):
            self.offset, self._anchor = 0, b""
        data = self._written(self._fd)
        self.offset += len(data)
        self._anchor = (self._anchor + data)[-ANCHOR:]
        return data

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        size = os.fstat(self._fd).st_size
        self.offset = line_start(self._fd, size - self.replay_bytes) if self.begin is None else self.begin
        return True

    def _is_what_was_read(self, fd: int) -> bool:
        start = self.offset - len(self._anchor)
        return os.pread(fd, len(self._anchor), start) == self._anchor or data_start(fd, start) != start

    def _written(self, fd: int) -> bytes:
        """From the offset on, moved behind a hole. Looked for after the read: a hole made in between is seen."""
        while True:
            data = os.pread(fd, BLOCK, self.offset)
            start = data_start(fd, self.offset)
            if start == self.offset:
                return data
            self.offset, self._anchor = start, b""


def data_start(fd: int, offset: int) -> int:
    """The first byte from `offset` on that is not in a hole; the end of the file if all the rest is one."""
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError:
        return max(offset, os.fstat(fd).st_size)


def line_start(fd: int, start: int) -> int:
    """The first line that begins at `start` or later, in what is still there; `start` itself within an endless line."""
    first = data_start(fd, 0)
    if first == 0 and start <= 0:
        return 0
    # What is before the first byte that is left cannot be seen: a line may or may not begin there.
    start = max(start, first + 1)
    newline = os.pread(fd, SCAN, start - 1).find(b"\n")
    return start if newline < 0 else start + newline
