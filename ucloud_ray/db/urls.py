"""A database URL as a user writes it -> what SQLAlchemy takes. Refuses what cannot hold durable data."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ucloud_ray.db.errors import StoreMisconfigured


def parse_url(text: str) -> URL:
    """`sqlite:///<path>` or `postgresql://user:password@host/database`. Raises `StoreMisconfigured`."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise StoreMisconfigured(_HINT) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url)
    if backend in ("postgresql", "postgres"):
        return _postgres(url)
    raise StoreMisconfigured(f"The database {backend!r} is not supported. {_HINT}")


_HINT = "Write sqlite:///<absolute path> or postgresql://user:password@host/database."


def _sqlite(url: URL) -> URL:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreMisconfigured(f"A database in memory forgets its jobs. {_HINT}")
    return URL.create("sqlite", database=str(Path(url.database).resolve()))


def _postgres(url: URL) -> URL:
    if importlib.util.find_spec("psycopg") is None:
        raise StoreMisconfigured("PostgreSQL needs psycopg: pip install 'ucloud-ray[postgres]'.")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """For messages: without the password."""
    return url.render_as_string(hide_password=True)
