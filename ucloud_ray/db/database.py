"""An open database: `write` and `read` from asyncio, blocking work on threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, TypeVar

from sqlalchemy import Connection, Engine

from ucloud_ray.db.errors import StoreUnavailable
from ucloud_ray.db.translate import translated
from ucloud_ray.db.writer import Writer

T = TypeVar("T")


class Database:
    """Made by `open_database`. Every call may raise `StoreUnavailable`: then nothing was written."""

    def __init__(self, writer: Engine, reader: Engine, readers: int, release: Callable[[], None]) -> None:
        self.dialect: str = writer.dialect.name
        """`sqlite` or `postgresql`."""
        self._engines = (writer, reader)
        self._reader = reader
        self._release = release
        self._writer = Writer(writer)
        self._pool = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="db-reader")
        self._closed = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return after COMMIT.

        The transaction may be shared with concurrent writes; `work` neither commits nor rolls back, and raising undoes
        only its own part. It runs on another thread. Cancelling the caller does not undo the write.
        """
        result: T = await self._writer.submit(work)
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that sees all that `write` returned for."""
        if self._closed:
            raise StoreUnavailable("The database was closed.")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    async def close(self) -> None:
        """Finish waiting writes, close the connections, let the next writer in. Twice is fine."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return work(connection)
        except Exception as error:
            _raise(translated(error), error)

    def _close(self) -> None:
        self._writer.close()
        self._pool.shutdown()
        for engine in reversed(self._engines):
            engine.dispose()
        self._release()


def _raise(ours: BaseException, theirs: BaseException) -> NoReturn:
    if ours is theirs:
        raise theirs
    raise ours from None
