"""Database library errors become ours here, and nowhere else.

Only the driver's own first line is kept: SQLAlchemy's text holds the statement and its values, and values are users'
documents and secrets.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc

from ucloud_ray.db.errors import (
    StoreConflict,
    StoreDamaged,
    StoreError,
    StoreMisconfigured,
    StoreUnavailable,
)

_SQLITE_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_SQLITE_UNAVAILABLE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_NOMEM")
_POSTGRES_UNAVAILABLE = ("08", "40", "53", "55", "57", "58")
_POSTGRES_MISCONFIGURED = ("28", "3D", "42501")
_POSTGRES_DAMAGED = ("XX001", "XX002")
# What libpq says when no connection is made; it passes no SQLSTATE on.
_POSTGRES_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")


def translated(error: BaseException) -> BaseException:
    """Our error for one of SQLAlchemy's; any other error unchanged."""
    if isinstance(error, exc.IntegrityError):
        return StoreConflict(f"The database refused the write: {_first_line(error)}")
    if isinstance(error, exc.DBAPIError):
        return _by_cause(error)
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailable("The database did not give us a connection in time. It is tried again.")
    return error


def _by_cause(error: exc.DBAPIError) -> StoreError:
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite(error)
    return _postgres(error)


def _sqlite(error: exc.DBAPIError) -> StoreError:
    name = getattr(error.orig, "sqlite_errorname", "")
    if name.startswith(_SQLITE_DAMAGED):
        return StoreDamaged(f"The database file is damaged ({_first_line(error)}). Restore it from a backup.")
    if name.startswith("SQLITE_READONLY"):
        return StoreMisconfigured("The database file or its folder cannot be written. Give this user write access.")
    if name.startswith(_SQLITE_UNAVAILABLE):
        return StoreUnavailable(f"The database cannot be used now ({_first_line(error)}). Check disk space and rights.")
    return StoreError(f"The database refused a statement: {_first_line(error)}")


def _postgres(error: exc.DBAPIError) -> StoreError:
    code = getattr(error.orig, "sqlstate", None) or ""
    if code.startswith(_POSTGRES_DAMAGED):
        return StoreDamaged(f"PostgreSQL reports damaged data ({_first_line(error)}). Restore it from a backup.")
    if code.startswith(_POSTGRES_MISCONFIGURED) or (not code and _refused(error)):
        return StoreMisconfigured(
            f"PostgreSQL refuses us: {_first_line(error)}. Check user, password and database name."
        )
    if error.connection_invalidated or code.startswith(_POSTGRES_UNAVAILABLE) or _without_code(error, code):
        return StoreUnavailable(f"PostgreSQL cannot be used now ({_first_line(error)}). It is tried again.")
    return StoreError(f"PostgreSQL refused a statement: {_first_line(error)}")


def _refused(error: exc.DBAPIError) -> bool:
    return any(text in str(error.orig) for text in _POSTGRES_REFUSALS)


def _without_code(error: exc.DBAPIError, code: str) -> bool:
    # A connection that breaks or is not made has no SQLSTATE.
    return not code and isinstance(error, (exc.OperationalError, exc.InterfaceError))


def _first_line(error: exc.DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0]
