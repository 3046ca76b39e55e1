"""Reads one growing log file by byte offset: what is there, then what is appended, until told to finish (D9).

Called by the relay. Bytes only; nothing is decoded here. The file may not exist yet, may be deleted (reading goes on in
what was opened) and may be truncated (reading starts again at 0, LOG-16).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHUNK = 64 * 1024


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

    def read(self) -> bytes:
        """The next piece, at most 64 KiB; empty if there is nothing new at the moment."""
        if self._fd is None and not self._open():
            return b""
        assert self._fd is not None
        data = os.pread(self._fd, CHUNK, self.offset)
        if not data and os.fstat(self._fd).st_size < self.offset:
            self.offset = 0
            data = os.pread(self._fd, CHUNK, 0)
        self.offset += len(data)
        return data

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        size = os.fstat(self._fd).st_size
        self.offset = self._line_start(self._fd, size) if self.begin is None else self.begin
        return True

    def _line_start(self, fd: int, size: int) -> int:
        """Where the replay begins: after the first newline within the allowed part, or at 0 if all is allowed."""
        start = size - self.replay_bytes
        if start <= 0:
            return 0
        newline = os.pread(fd, CHUNK, start - 1).find(b"\n")
        return start if newline < 0 else start + newline
