"""Waiters are woken by events, and whenever events may have been missed."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from runtimes.docker.events import EventWatcher
from runtimes.errors import RuntimeUnavailable

SOON = 10.0


class Stream:
    """Events that the test puts in; None ends it."""

    def __init__(self) -> None:
        self.events: queue.Queue[str | None] = queue.Queue()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (container := self.events.get()) is not None:
            yield {"status": "die", "Actor": {"ID": container}}

    def close(self) -> None:
        self.events.put(None)


class Daemon:
    """Hands out the streams that the test puts in; None is a daemon that is away."""

    def __init__(self) -> None:
        self.streams: queue.Queue[Stream | None] = queue.Queue()
        self.since: list[float] = []

    def open(self, since: float) -> Stream:
        self.since.append(since)
        stream = self.streams.get()
        if stream is None:
            raise RuntimeUnavailable("away")
        return stream

    def connect(self) -> Stream:
        stream = Stream()
        self.streams.put(stream)
        return stream


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def watcher(daemon: Daemon) -> AsyncIterator[EventWatcher]:
    watcher = EventWatcher(daemon.open)
    yield watcher
    watcher.close()
    daemon.streams.put(None)


async def test_only_the_waiter_of_that_container_is_woken(watcher: EventWatcher, daemon: Daemon) -> None:
    with watcher.watch("a") as a, watcher.watch("b") as b:
        stream = daemon.connect()
        await a.heard(SOON)
        await b.heard(SOON)
        a.clear()
        b.clear()
        stream.events.put("a")
        await a.heard(SOON)
        assert a.rung
        assert not b.rung


async def test_everybody_is_woken_when_the_stream_breaks(watcher: EventWatcher, daemon: Daemon) -> None:
    """So that a waiter looks for itself, and says that the daemon does not answer (D4)."""
    with watcher.watch("a") as a, watcher.watch("b") as b:
        stream = daemon.connect()
        await a.heard(SOON)
        await b.heard(SOON)
        a.clear()
        b.clear()
        stream.events.put(None)
        await a.heard(SOON)
        await b.heard(SOON)
        assert a.rung
        assert b.rung


async def test_a_daemon_that_is_away_wakes_the_waiters_too(watcher: EventWatcher, daemon: Daemon) -> None:
    with watcher.watch("a") as a:
        daemon.streams.put(None)
        await a.heard(SOON)
        assert a.rung


async def test_nobody_waits_longer_than_asked(watcher: EventWatcher) -> None:
    with watcher.watch("a") as a:
        await a.heard(0)
        assert not a.rung


async def test_a_waiter_whose_loop_is_closed_hurts_nobody(watcher: EventWatcher, daemon: Daemon) -> None:
    with contextlib.ExitStack() as left_open:
        await asyncio.to_thread(lambda: asyncio.run(_enter(left_open, watcher)))
        with watcher.watch("b") as b:
            daemon.connect()
            await b.heard(SOON)
            assert b.rung


async def _enter(stack: contextlib.ExitStack, watcher: EventWatcher) -> None:
    stack.enter_context(watcher.watch("a"))
