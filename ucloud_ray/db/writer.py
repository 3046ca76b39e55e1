"""The one writer: a thread that runs everything which waits at the moment in one transaction.

A commit costs a flush of the disk, whatever is in it. So while one commit is under way, further writes gather and share
the next one (group commit); nothing ever waits for company. A write that fails must not spoil its neighbours: then the
transaction is given up and all of them run again, each in a savepoint. Savepoints for all from the start would double
the statements for the sake of what hardly ever happens. The futures are resolved after COMMIT, never before.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from ucloud_ray.db.errors import StoreDamaged, StoreUnavailable
from ucloud_ray.db.translate import translated

_MAX_BATCH = 1_000
"""Bounds the time that one transaction may take."""


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs writes in the order of `submit`. Owned by `Database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="db-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], Any]) -> asyncio.Future[Any]:
        """Called on an event loop. Cancelling the future does not take the write back."""
        future = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("The database was closed."))
        else:
            self._queue.put(_Write(work, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, then stop. Blocks."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._commit(batch)
            _resolve(batch)

    def _next_batch(self) -> list[_Write]:
        batch: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if self._queue.empty() or len(batch) == _MAX_BATCH:
                return batch
            item = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _commit(self, batch: Sequence[_Write]) -> None:
        try:
            self._commit_together(batch)
        except BaseException as error:  # the thread must outlive whatever a caller's function raises
            if len(batch) == 1:
                batch[0].error = translated(error)
            else:
                self._commit_apart(batch)

    def _commit_together(self, batch: Sequence[_Write]) -> None:
        with self._engine.begin() as connection:
            for write in batch:
                write.result = write.work(connection)

    def _commit_apart(self, batch: Sequence[_Write]) -> None:
        try:
            with self._engine.begin() as connection:
                for write in batch:
                    _run_in_savepoint(connection, write)
        except BaseException as error:
            for write in batch:
                write.error = write.error or translated(error)


def _run_in_savepoint(connection: Connection, write: _Write) -> None:
    savepoint = connection.begin_nested()
    try:
        write.result = write.work(connection)
    except Exception as error:
        _undo(savepoint, error)
        write.error = translated(error)
    else:
        savepoint.commit()


def _undo(savepoint: Any, error: Exception) -> None:
    """Roll back to the savepoint, or give up the whole transaction when the database may have done so itself."""
    if isinstance(translated(error), (StoreUnavailable, StoreDamaged)):
        raise error
    try:
        savepoint.rollback()
    except Exception:
        raise error from None


def _resolve(batch: Sequence[_Write]) -> None:
    # One wake-up per loop and batch: waking a loop costs a system call.
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Write]] = defaultdict(list)
    for write in batch:
        by_loop[write.future.get_loop()].append(write)
    for loop, writes in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_deliver, writes)


def _deliver(writes: Sequence[_Write]) -> None:
    for write in writes:
        if write.future.done():
            continue
        if write.error is None:
            write.future.set_result(write.result)
        else:
            write.future.set_exception(write.error)
