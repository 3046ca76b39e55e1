"""Time that passes only when nothing is left to do, so that thousands of lives take seconds and are always the same.

An event loop whose clock jumps to the next timer, with the process's clocks behind it: deadlines, pauses and graces are
waited for as in real life and take no time. Work for threads is done on the spot, and so are transactions: a thread
would come back at a moment of its own. What they do is real, the database included.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from ucloud_ray.db import database, engines, writer

START = 1_700_000_000.0
NANOS = 1_000_000_000
FAR_AWAY = 24 * 3600.0
"""Nothing that a test waits for is so far away."""


class DeadEnd(AssertionError):
    """Nobody waits for anything that could still happen."""


class _Jump(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or self.now > FAR_AWAY:
            raise DeadEnd("nothing is going to happen any more, and somebody waits")
        self.now += max(0.0, timeout)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # typeshed wants a TypeVarTuple
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:
            future.set_exception(problem)
        return future


class PromptWriter(writer.Writer):
    """Commits in the next round of the loop, together with what was submitted until then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[writer._Write] = []
        self._closed = False

    def submit(self, work: Callable[[Connection], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        future = loop.create_future()
        self._waiting.append(writer._Write(work, future))
        return future

    def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        self._commit(batch)
        writer._deliver(batch)

    def close(self) -> None:
        self._closed = True


def _set_up_writer(connection: Any, _record: object) -> None:
    """As for production, but nobody waits for the disk: it is our process that ends here, and not the machine."""
    engines._pragmas(connection, "journal_mode = WAL", "synchronous = OFF", "foreign_keys = ON")


@contextmanager
def virtual_time() -> Iterator[asyncio.Runner]:
    """Runs coroutines in it. The clocks of the process are its own as long as it lasts."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=JumpingLoop) as runner:
        now = runner.get_loop().time
        patch.setattr(database, "Writer", PromptWriter)
        patch.setattr(engines, "_set_up_writer", _set_up_writer)
        patch.setattr(time, "monotonic", now)
        patch.setattr(time, "time", lambda: START + now())
        patch.setattr(time, "time_ns", lambda: round((START + now()) * NANOS))
        patch.setattr(time, "clock_gettime_ns", lambda _: round(now() * NANOS))
        yield runner
