"""Carries a task's output from its pipes into its log files, inside the waiter.

The program never meets the disk: a full one, or a quota, is the pump's to deal with (LOG-17). What cannot be written is
kept for a while, up to a bound; beyond it output is lost, and a line in the log says how much. The program's pipes are
emptied all the time, whatever the disk does.

Not the program's own file descriptors on the files: a full disk would make its writes fail, which ends most programs.

Standard library only and few imports, for every waiter shares this memory.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

PIPE_BYTES = 256 * 1024
READ_BYTES = 64 * 1024
KEPT_BYTES = 1024 * 1024
"""Of each stream, while its file takes nothing."""
RETRY_SECONDS = 0.5
CHATTY_SECONDS = 0.005
"""A program that writes little all the time is read this seldom: one wake-up for many lines."""
LITTLE_BYTES = 16 * 1024
LAST_TRIES_SECONDS = 2.0
"""How long the end of a task waits for room on the disk."""


class Log:
    """One stream: where it comes from, the file that must have it, and one that may (another file system's)."""

    def __init__(self, file: int, copy: int | None) -> None:
        self.reader, self.writer = os.pipe()
        self.file = file
        self.copy = copy
        self.kept = bytearray()
        self.lost = 0
        os.set_blocking(self.reader, False)
        with suppress(OSError):  # an ordinary user's share of pipes is used up: the usual size does too
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read(self) -> int:
        """Move what is in the pipe. Bytes moved; -1 at the end, 0 when there is nothing now."""
        try:
            data = os.read(self.reader, READ_BYTES)
        except BlockingIOError:
            return 0
        self.take(data)
        return len(data) or -1

    def take(self, data: bytes) -> None:
        if self.copy is not None:
            _write(self.copy, data)
        if self.kept or self.lost:
            self._keep(data)
            self.flush()
        elif rest := data[_write(self.file, data) :]:
            self._keep(rest)

    def _keep(self, data: bytes) -> None:
        room = max(0, KEPT_BYTES - len(self.kept)) if not self.lost else 0
        self.kept += data[:room]
        self.lost += len(data) - min(room, len(data))

    def flush(self) -> bool:
        """Try again; whether nothing waits any more."""
        del self.kept[: _write(self.file, bytes(self.kept))]
        if self.lost and not self.kept:
            note = f"\n[{self.lost} bytes of output are missing here: the disk was full]\n".encode()
            if _write(self.file, note):
                self.lost = 0
        return not self.kept and not self.lost


class Pump:
    """The streams of one task. Made before the fork; `writers` are the child's."""

    def __init__(self, files: Sequence[int], copies: Sequence[int | None]) -> None:
        self.logs = [Log(file, copy) for file, copy in zip(files, copies, strict=True)]
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        # A child that ends wakes the poll. The handler has nothing to do, but without one there is no wake-up.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_writer)

    @property
    def writers(self) -> list[int]:
        return [log.writer for log in self.logs]

    def let_go_in_child(self) -> None:
        """The handler goes with the exec; this does not."""
        signal.set_wakeup_fd(-1)

    def carry_until(self, child: int) -> int:
        """Until this child has ended; its wait status. Adopted orphans are collected on the way."""
        poller = select.poll()
        poller.register(self._wake_reader, select.POLLIN)
        by_reader = {log.reader: log for log in self.logs}
        for log in self.logs:
            os.close(log.writer)
            poller.register(log.reader, select.POLLIN)
        last_round = 0.0
        while (status := _reap(child)) is None:
            moved = 0
            for ready, _ in poller.poll(self._patience()):
                if ready == self._wake_reader:
                    os.read(ready, 4096)
                elif (size := by_reader[ready].read()) < 0:
                    poller.unregister(ready)  # everyone closed it; nothing comes any more
                else:
                    moved += size
            self._flush()
            if moved < LITTLE_BYTES:
                last_round = _rest(last_round)
        return status

    def finish(self) -> None:
        """What is left in the pipes, once nobody of the task writes any more, and what the disk did not take."""
        for log in self.logs:
            left = 2 * PIPE_BYTES  # whoever else was given the pipe may still be writing
            while left > 0 and (moved := log.read()) > 0:
                left -= moved
        give_up_at = time.monotonic() + LAST_TRIES_SECONDS
        while not self._flush() and time.monotonic() < give_up_at:
            time.sleep(RETRY_SECONDS / 5)

    def _patience(self) -> int | None:
        """Milliseconds; for ever unless something waits for room."""
        return round(RETRY_SECONDS * 1000) if any(log.kept or log.lost for log in self.logs) else None

    def _flush(self) -> bool:
        waiting = [log for log in self.logs if log.kept or log.lost]
        return sum(log.flush() for log in waiting) == len(waiting)


def _rest(last_round: float) -> float:
    now = time.monotonic()
    if now - last_round < CHATTY_SECONDS:
        time.sleep(CHATTY_SECONDS)
    return now


def _reap(child: int) -> int | None:
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return status
        if pid == 0:
            return None


def _write(file: int, data: bytes) -> int:
    """Bytes that the file took: all, or as many as there was room for."""
    written = 0
    with suppress(OSError):
        while written < len(data):
            written += os.write(file, data[written:] if written else data)
    return written
