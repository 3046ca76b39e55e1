"""One writer per database: a lock file beside a SQLite file, a session lock inside PostgreSQL.

Both belong to the process and vanish with it, also after kill -9. The lock file itself stays and means nothing. The
session lock goes with its connection, too: a writer on a machine that was cut off may find it free again after another
one has written. So each writer of PostgreSQL has a number, and one that is not the last does not write any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from ucloud_ray.db.errors import StoreInUse, StoreMisconfigured

_PAUSE_SECONDS = 0.05


class FileLock:
    """Exclusive lock on `<database>.lock`. Raises `StoreInUse` when it is not free within `patience` seconds."""

    def __init__(self, database: Path, patience: float) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file = self._open()
        try:
            _insist(self._try, patience, self._in_use)
        except BaseException:
            os.close(self._file)
            raise
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreMisconfigured(f"{self._path} cannot be opened for writing: {error.strerror}.") from error

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _in_use(self) -> StoreInUse:
        holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
        return StoreInUse(
            f"Process {holder} uses this database ({self._path}). Stop it first, or use another data folder."
        )


class SessionLock:
    """Every connection that this PostgreSQL engine makes takes the lock `name` first, or is refused."""

    def __init__(self, engine: Engine, name: str, patience: float, lost: Callable[[], None]) -> None:
        """`lost`: called when the lock went to another process, in the thread that wanted to write."""
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        self._table = f"{name}_writer"
        self._patience = patience
        self._lost = lost
        self._number: int | None = None
        event.listen(engine, "connect", self._take)

    def _take(self, connection: Any, _record: object) -> None:
        try:
            _insist(lambda: _try_session_lock(connection, self._key), self._patience, _session_in_use)
            with connection.cursor() as cursor:
                self._sign(cursor)
            connection.commit()
        except StoreInUse:
            connection.close()
            if self._number is not None:
                self._lost()
            raise
        except BaseException:
            connection.close()
            raise

    def _sign(self, cursor: Any) -> None:
        """The first time we become the last writer; from then on we must still be it."""
        for setting, value in _SERVER_PATIENCE.items():
            cursor.execute(f"SET {setting} = {value}")
        if self._number is None:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._table} (one boolean PRIMARY KEY, number bigint)")
            cursor.execute(
                f"INSERT INTO {self._table} VALUES (true, 1) "
                f"ON CONFLICT (one) DO UPDATE SET number = {self._table}.number + 1 RETURNING number"
            )
            self._number = cursor.fetchone()[0]
        else:
            cursor.execute(f"SELECT number FROM {self._table}")
            if cursor.fetchone()[0] != self._number:
                raise StoreInUse("Another process has written to this PostgreSQL database since. Start this one again.")


_SERVER_PATIENCE = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""After 15 s without a sign of life the server ends a session and with it the lock; by itself it would take hours, or a
quarter of one if the last answer is still on its way. Seconds, but for the last one."""


def _try_session_lock(connection: Any, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
        granted: bool = cursor.fetchone()[0]
    connection.commit()
    return granted


def _session_in_use() -> StoreInUse:
    return StoreInUse("Another process uses this PostgreSQL database. Stop it first, or use another database.")


def _insist(attempt: Callable[[], bool], patience: float, refusal: Callable[[], StoreInUse]) -> None:
    # A process that was just killed may hold the lock for a moment more.
    give_up = time.monotonic() + patience
    while not attempt():
        if time.monotonic() >= give_up:
            raise refusal()
        time.sleep(_PAUSE_SECONDS)
