"""Carries a task's output from its pipes into its log files, as long as it is told.

Run by a native task's waiter, by whoever succeeds a waiter that was killed, and beside each container. It sleeps until
there is output. Standard library only and few imports, for every waiter shares this memory.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping, Sequence

from runtimes.output import fifos
from runtimes.output.stream import Stream

FULL_SECONDS = 0.02
"""How soon a full disk is tried again. The program must not wait for it: a pipe has room for this long."""
ROUND_SECONDS = 0.005
"""A program that writes all the time is read this seldom: one wake-up for many lines, and at most a pipe full of them,
which is 200 MB/s. Who has more to write waits, and nobody else does."""
LOUD_BYTES = 256 * 1024
"""Who has so much to carry at once stands behind everybody else from then on: the task's limits do not hold us."""
NICENESS = 10
LAST_TRIES_SECONDS = 2.0
"""How long the end of a task waits for room on the disk."""


class Pump:
    """`folder` holds the pipes, and `copies` maps streams to the file of their second copy. All file descriptors."""

    def __init__(self, folder: int, readers: Sequence[int], logs: Sequence[int], copies: Mapping[int, int]) -> None:
        missing = fifos.Missing(folder)
        self._streams = [
            Stream(number, reader, log, copies.get(number), missing)
            for number, (reader, log) in enumerate(zip(readers, logs, strict=True))
        ]

    def carry_while(self, goes_on: Callable[[], bool], alarm: int) -> None:
        """Asks `goes_on` first, and whenever `alarm` can be read, which is the asked one's to empty."""
        by_reader = {stream.reader: stream for stream in self._streams}
        last_round = 0.0
        while goes_on():
            ready = self._wait(alarm)
            moved = sum(by_reader[file].carry() for file in ready if file in by_reader)
            moved += sum(stream.carry() for stream in self._streams if stream.full)
            if moved > LOUD_BYTES:
                os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
            if alarm not in ready:
                last_round = _rest(last_round)

    def finish(self) -> None:
        """What is left in the pipes, once nobody of the task writes any more; whoever else has them may be writing."""
        give_up_at = time.monotonic() + LAST_TRIES_SECONDS
        for stream in self._streams:
            left = 2 * fifos.PIPE_BYTES
            while left > 0 and not stream.is_empty() and time.monotonic() < give_up_at:
                left -= stream.carry()
                if stream.full:
                    time.sleep(FULL_SECONDS)

    def _wait(self, alarm: int) -> list[int]:
        full = any(stream.full for stream in self._streams)
        poller = select.poll()
        poller.register(alarm, select.POLLIN)
        for stream in self._streams:
            if not stream.full:
                poller.register(stream.reader, select.POLLIN)
        return [file for file, _ in poller.poll(FULL_SECONDS * 1000 if full else None)]


def _rest(last_round: float) -> float:
    now = time.monotonic()
    if now - last_round < ROUND_SECONDS:
        time.sleep(ROUND_SECONDS)
    return now


def drain(alarm: int) -> None:
    """Empty a pipe that only wakes."""
    try:
        while os.read(alarm, 4096):
            pass
    except BlockingIOError:
        pass


def is_readable(file: int) -> bool:
    poller = select.poll()
    poller.register(file, select.POLLIN)
    return bool(poller.poll(0))
