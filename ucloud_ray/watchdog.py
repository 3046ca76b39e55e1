"""Ends this process when its event loop makes no progress for long (REC-6): whoever runs it then starts it again.

Called once by each serving process: front end, supervisor, orchestrator. A thread asks the loop for a sign of life. It
counts its own rounds and not the time, so that a machine or process that was stopped as a whole and goes on has missed
nothing. A process that cannot even run this thread is noticed from outside: the supervisor by the front end, the parts
of `up` by their minder.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable

STATUS = 70
"""Exit status (sysexits' "internal software error")."""

ROUNDS = 12
"""Without a sign of life, until it is taken for hung."""


class Watchdog:
    """`seconds`: how long the loop may be silent. `end` never returns in production."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, end: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._round_seconds = seconds / ROUNDS
        self._end = end or _end
        self._alive = threading.Event()
        self._left = threading.Event()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def close(self) -> None:
        """The loop is about to end by itself."""
        self._left.set()

    def _run(self) -> None:
        missed = 0
        self._alive.set()
        while not self._left.wait(self._round_seconds):
            if self._alive.is_set():
                missed = 0
                self._ask()
            elif (missed := missed + 1) >= ROUNDS:
                self._end()
                return

    def _ask(self) -> None:
        self._alive.clear()
        try:
            self._loop.call_soon_threadsafe(self._alive.set)
        except RuntimeError:  # the loop is closed
            self._left.set()


def guard(seconds: float) -> Watchdog:
    """Watch the loop that this is called on."""
    return Watchdog(asyncio.get_running_loop(), seconds)


def _end() -> None:
    print("error: the main loop made no progress; leaving to be started again", file=sys.stderr, flush=True)  # noqa: T201  # the logger's lock may be what everything waits for
    faulthandler.dump_traceback(all_threads=True)
    os._exit(STATUS)
