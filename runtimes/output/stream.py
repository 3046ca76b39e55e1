"""One stream of a task: from its pipe into its log file, by system calls that either moved a byte or left it.

`splice` moves without a moment in which bytes are only in our memory: who kills the pump between two of its
instructions kills nothing of the output. It cannot append, so it is told where the file ends now, which is where its
user left it when he truncated it (LOG-16).

A full disk (LOG-17): the output waits in the pipe, and is thrown away when that is half full, so that the program never
waits for the disk. As soon as there is room, a line in the log says how much is missing, at the place where it is.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from contextlib import suppress

from runtimes.output import fifos

CHUNK_BYTES = 64 * 1024
SPLICE_NONBLOCK = 2
_NO_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EPERM)
_libc = ctypes.CDLL(None, use_errno=True)


class Stream:
    """`copy` is a second file that may have the bytes too, on another file system: what it does not take, it lacks."""

    def __init__(self, number: int, reader: int, file: int, copy: int | None, missing: fifos.Missing) -> None:
        self.reader = reader
        self._number = number
        self._file = file
        self._copy = copy
        self._shown = 0
        """Bytes at the beginning of the pipe that the copy has."""
        self._missing = missing
        self._lost = missing.get(number)
        self.full = self._lost > 0
        """The log takes nothing now."""
        self._most_waiting = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) // 2
        self._can_splice = True
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags & ~os.O_APPEND)  # `splice` refuses a file that is open for appending

    def carry(self) -> int:
        """Move what is in the pipe, as far as the log takes it. Bytes moved."""
        if self._lost and not self._note():
            return self._make_room()
        try:
            moved = self._move(self._show() or fifos.PIPE_BYTES)
        except BlockingIOError:
            moved = 0
        except OSError:
            return self._make_room()
        self.full = False
        self._shown = max(0, self._shown - moved)
        return moved

    def is_empty(self) -> bool:
        return not self._lost and not fifos.waiting_bytes(self.reader)

    def _move(self, size: int) -> int:
        if self._can_splice:
            try:
                return os.splice(self.reader, self._file, size, offset_dst=self._end(), flags=SPLICE_NONBLOCK)
            except OSError as error:
                if error.errno not in _NO_SPLICE:
                    raise
                self._can_splice = False
        return self._move_by_hand(size)

    def _move_by_hand(self, size: int) -> int:
        """For file systems that cannot splice. What is read and not written is lost, and counted."""
        data = os.read(self.reader, min(size, CHUNK_BYTES))
        written = self._write(data)
        self._count(len(data) - written)
        return len(data)

    def _write(self, data: bytes) -> int:
        written = 0
        with suppress(OSError):
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._end())
        return written

    def _end(self) -> int:
        return os.fstat(self._file).st_size

    def _make_room(self) -> int:
        self.full = True
        waiting = fifos.waiting_bytes(self.reader)
        if waiting > self._most_waiting:
            self._count(waiting)  # before it is gone: a kill between the two makes the count too high, never silent
            self._throw_away(waiting)
        return 0

    def _throw_away(self, size: int) -> None:
        nowhere = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        while size > 0:
            gone = os.splice(self.reader, nowhere, min(size, self._show() or size), flags=SPLICE_NONBLOCK)
            self._shown = max(0, self._shown - gone)
            size -= gone
        os.close(nowhere)

    def _count(self, size: int) -> None:
        if size:
            self._lost += size
            self._missing.set(self._number, self._lost)

    def _note(self) -> bool:
        note = f"\n[{self._lost} bytes of output are missing here: the disk was full]\n".encode()
        end = self._end()
        if self._write(note) < len(note):
            os.ftruncate(self._file, end)
            return False
        self._lost = 0
        self._missing.set(self._number, 0)
        return True

    def _show(self) -> int:
        """Give the copy what it has not seen; how much it has of what is in the pipe, 0 without a copy."""
        if self._copy is not None and not self._shown:
            self._shown = _duplicate(self.reader, self._copy)
        return self._shown


def _duplicate(reader: int, copy: int) -> int:
    """Write to `copy` what is in the pipe, and leave it there."""
    scratch, feeder = os.pipe()
    try:
        size: int = _libc.tee(reader, feeder, ctypes.c_size_t(CHUNK_BYTES), SPLICE_NONBLOCK)
        if size <= 0:
            return 0
        data = os.read(scratch, size)
        with suppress(OSError):
            while data:
                data = data[os.write(copy, data) :]
        return size
    finally:
        os.close(scratch)
        os.close(feeder)
