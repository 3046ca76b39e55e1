"""URL -> open `Database`: lock it, look at it without touching it, then create or upgrade the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from ucloud_ray.db.database import Database
from ucloud_ray.db.engines import look_engine, reader_engine, writer_engine
from ucloud_ray.db.errors import StoreDamaged, StoreMisconfigured
from ucloud_ray.db.lock import FileLock, SessionLock
from ucloud_ray.db.migrate import Schema
from ucloud_ray.db.translate import translated
from ucloud_ray.db.urls import parse_url, shown

Opening = Callable[[URL, Schema, int, float], Database]


async def open_database(
    url: str,
    migrations_package: str,
    *,
    readers: int = 1,
    patience: float = 1.0,
    lost: Callable[[], None] = lambda: None,
) -> Database:
    """Open for writing; at most one process can. Creates what is missing and upgrades an older schema.

    `migrations_package`: dotted name of a package with a folder `versions` of Alembic scripts. `readers`: threads that
    serve `read`. `patience`: seconds to wait for a writer that is just ending. `lost`: called, in another thread, when
    a lost connection let another process write; each later write raises `StoreInUse`, so this one should start again.

    Raises `StoreInUse`, `StoreDamaged`, `StoreTooNew`, `StoreMisconfigured` (the database is then as it was) or
    `StoreUnavailable`.
    """
    parsed = parse_url(url)
    schema = Schema(migrations_package)
    open_it = _open_sqlite if parsed.get_backend_name() == "sqlite" else partial(_open_postgres, lost=lost)
    return await asyncio.to_thread(_open, open_it, parsed, schema, readers, patience)


def _open(open_it: Opening, url: URL, schema: Schema, readers: int, patience: float) -> Database:
    try:
        return open_it(url, schema, readers, patience)
    except OSError as error:
        raise StoreMisconfigured(f"{error.filename} cannot be used: {error.strerror}.") from error
    except Exception as error:
        ours = translated(error)
        if ours is error:
            raise
        raise ours from None


def _open_sqlite(url: URL, schema: Schema, readers: int, patience: float) -> Database:
    path = Path(url.database or "")
    _make_folder(path.parent)
    lock = FileLock(path, patience)
    try:
        _look_at_file(url, path, schema)
        return _migrated(url, schema, readers, writer_engine(url), lock.release)
    except BaseException:
        lock.release()
        raise


def _open_postgres(url: URL, schema: Schema, readers: int, patience: float, lost: Callable[[], None]) -> Database:
    writer = writer_engine(url)
    SessionLock(writer, schema.version_table, patience, lost)
    return _migrated(url, schema, readers, writer, lambda: None)


def _migrated(url: URL, schema: Schema, readers: int, writer: Engine, release: Callable[[], None]) -> Database:
    try:
        with writer.begin() as connection:
            schema.check(connection, shown(url))
            schema.upgrade(connection)
    except BaseException:
        writer.dispose()
        raise
    return Database(writer, reader_engine(url, readers), readers, release)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreMisconfigured(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _look_at_file(url: URL, path: Path, schema: Schema) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    _check_header(path)
    wal = path.with_name(path.name + "-wal")
    engine = look_engine(url, immutable=not (wal.exists() and wal.stat().st_size))
    try:
        with engine.connect() as connection:
            verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar()
            if verdict != "ok":
                raise StoreDamaged(f"{path} is damaged ({verdict}). It was left as it is: restore it from a backup.")
            schema.check(connection, str(path))
    finally:
        engine.dispose()


def _check_header(path: Path) -> None:
    # SQLite takes a file shorter than its header for an empty database, and would write into it.
    with path.open("rb") as file:
        if not file.read(100).startswith(b"SQLite format 3\0"):
            raise StoreDamaged(
                f"{path} is not a database. It was left as it is: name another file or restore a backup."
            )
