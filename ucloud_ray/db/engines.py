"""SQLAlchemy engines with the settings that durability needs. No tables, no statements of the application."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

_BUSY_MILLIS = 5_000

_CLIENT_PATIENCE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 15_000}
"""A server that is cut off is noticed after 15 s. Seconds, but for the last one; libpq's names."""


def writer_engine(url: URL) -> Engine:
    """One connection, kept. A transaction owns the write lock of SQLite from its beginning."""
    return _sqlite(url, 1, writes=True) if _is_sqlite(url) else _postgres(url, connections=1)


def reader_engine(url: URL, connections: int) -> Engine:
    """Connections that read committed data and, on SQLite, cannot write."""
    return _sqlite(url, connections, writes=False) if _is_sqlite(url) else _postgres(url, connections)


def look_engine(url: URL, immutable: bool) -> Engine:
    """SQLite only: reads a file that must stay as it is, byte for byte.

    `immutable` also creates no -shm file, but does not see a -wal file, so it is right only when there is none.
    """
    mode = {"immutable": "1"} if immutable else {"mode": "ro"}
    return create_engine(
        URL.create("sqlite", database=f"file:{url.database}", query={**mode, "uri": "true"}), pool_size=1
    )


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _postgres(url: URL, connections: int) -> Engine:
    return create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 5, **_CLIENT_PATIENCE},
    )


def _sqlite(url: URL, connections: int, writes: bool) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=0, hide_parameters=True)
    event.listen(engine, "connect", _set_up_writer if writes else _set_up_reader)
    event.listen(engine, "begin", _begin_immediate if writes else _begin)
    return engine


def _set_up_writer(connection: Any, _record: object) -> None:
    _pragmas(connection, "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


def _set_up_reader(connection: Any, _record: object) -> None:
    _pragmas(connection, "query_only = ON")


def _pragmas(connection: Any, *pragmas: str) -> None:
    # The driver must not open transactions by itself: it would begin deferred ones, and only before some statements.
    connection.isolation_level = None
    for pragma in (f"busy_timeout = {_BUSY_MILLIS}", *pragmas):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later may fail half-way with SQLITE_BUSY.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
