"""One thread that reads the daemon's event stream and wakes whoever waits for a container.

Used by `driver`. An event is only a hint: the woken look at the container themselves. So everybody is woken whenever
the stream begins or breaks, because events may have been missed in between, and waking too often does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from runtimes.errors import DriverError

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
# The daemon answers before it subscribes; what happened in between is replayed from its buffer.
_OVERLAP_SECONDS = 2


class EventStream(Protocol):
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def close(self) -> None: ...


class Wakeup:
    """A waiter's bell. Rung from the thread, heard in the waiter's own event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def clear(self) -> None:
        """Call before looking, so that what happens after the look is heard."""
        self._rung.clear()

    @property
    def rung(self) -> bool:
        return self._rung.is_set()

    async def heard(self, seconds: float) -> None:
        """Return when rung, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            pass

    def ring(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)


class EventWatcher:
    """Starts its thread with the first waiter.

    Args:
        open_stream: opens the event stream from a moment (seconds since the epoch) on; may raise `DriverError`.
    """

    def __init__(self, open_stream: Callable[[float], EventStream]) -> None:
        self._open_stream = open_stream
        self._waiters: dict[str, set[Wakeup]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stream: EventStream | None = None
        self._closed = threading.Event()

    @contextmanager
    def watch(self, container: str) -> Iterator[Wakeup]:
        """A bell that rings when something happens to this container, or may have happened unseen."""
        wakeup = Wakeup()
        with self._lock:
            self._waiters.setdefault(container, set()).add(wakeup)
            self._ensure_thread()
        try:
            yield wakeup
        finally:
            with self._lock:
                self._waiters[container].discard(wakeup)
                if not self._waiters[container]:
                    del self._waiters[container]

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._read()
            except DriverError as error:
                logger.info("no events from Docker: %s", error)
            self._ring_all()
            self._closed.wait(_RETRY_SECONDS)

    def _read(self) -> None:
        stream = self._open_stream(time.time() - _OVERLAP_SECONDS)
        with self._lock:
            self._stream = stream
            if self._closed.is_set():
                stream.close()
        self._ring_all()
        for event in stream:
            self._ring(event["Actor"]["ID"])

    def _ring(self, container: str) -> None:
        with self._lock:
            for wakeup in self._waiters.get(container, ()):
                wakeup.ring()

    def _ring_all(self) -> None:
        with self._lock:
            for waiters in self._waiters.values():
                for wakeup in waiters:
                    wakeup.ring()
