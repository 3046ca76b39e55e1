"""How much of a container's output has been copied, so that a later copy goes on at the very next byte.

Called by `logs`. Neither the size of the log file alone nor a count alone would do: the user may truncate the file
(LOG-16), and this process may be killed between appending and counting. Both together, written after every append, say
it: what the file grew by since the last record was appended by us and not counted yet.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

_RECORD = struct.Struct("<4Q")


@dataclass(slots=True)
class Progress:
    """Bytes copied and size of the log file after that, each for stdout and stderr. One small file on disk."""

    descriptor: int
    copied: list[int] = field(default_factory=lambda: [0, 0])
    size: list[int] = field(default_factory=lambda: [0, 0])

    @classmethod
    def open(cls, path: Path, sizes: tuple[int, int]) -> Progress:
        """Read the record, or begin one, given the present sizes of the log files."""
        progress = cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        record = os.pread(progress.descriptor, _RECORD.size, 0)
        if len(record) == _RECORD.size:
            progress._resume(_RECORD.unpack(record), sizes)
        else:
            # The files may hold an earlier attempt's output; ours is appended to it.
            progress.size = list(sizes)
            progress.save()
        return progress

    def _resume(self, record: tuple[int, ...], sizes: tuple[int, int]) -> None:
        for stream in (0, 1):
            self.copied[stream] = record[stream] + max(0, sizes[stream] - record[2 + stream])
            self.size[stream] = sizes[stream]

    def appended(self, stream: int, length: int, size: int) -> None:
        """`length` more bytes of this stream are in the file, which now has `size`."""
        self.copied[stream] += length
        self.size[stream] = size
        self.save()

    def save(self) -> None:
        # One write of 32 bytes: a killed process leaves the old record or the new one, never half of one.
        os.pwrite(self.descriptor, _RECORD.pack(*self.copied, *self.size), 0)

    def close(self) -> None:
        os.close(self.descriptor)
