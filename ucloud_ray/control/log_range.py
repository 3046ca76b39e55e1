"""One part of a log, by byte offset: read beside the file by the relay, asked for by the front end.

For callers who want a part and not a stream, such as `GET /api/jobs/{id}/logs`. Following is `log_follow`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ucloud_ray.control.log_tail import data_start

MOST = 4 * 1024 * 1024
"""Bytes of one part."""


@dataclass(frozen=True, slots=True)
class LogRange:
    start: int
    """Where the part begins: the offset that was asked for, moved behind what is not there any more."""
    data: bytes
    total: int
    """Size of the log at that moment, what is gone included."""

    @property
    def next_offset(self) -> int:
        return self.start + len(self.data)


EMPTY = LogRange(0, b"", 0)


def read(path: Path, offset: int, limit: int) -> LogRange:
    """At most `limit` bytes from `offset` on; a negative one counts from the end. Empty behind the end, and for a file
    that is not there. Raises `OSError`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return EMPTY
    try:
        return _read(fd, offset, max(0, min(limit, MOST)))
    finally:
        os.close(fd)


def _read(fd: int, offset: int, limit: int) -> LogRange:
    while True:
        total = os.fstat(fd).st_size
        start = min(offset if offset >= 0 else max(0, total + offset), total)
        begin = data_start(fd, start)
        data = os.pread(fd, limit, begin)
        # A hole made between the two lines above would be read as zeros.
        if data_start(fd, begin) == begin:
            return LogRange(begin, data, total)
