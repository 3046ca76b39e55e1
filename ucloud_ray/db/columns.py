"""Column types and statements that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, Table
from sqlalchemy.dialects import postgresql, sqlite

SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""Type of a primary key that the database counts up; SQLite counts only what is called INTEGER."""


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], keep: Sequence[str] = ()) -> None:
    """Insert rows, or replace those of the same primary key. Columns in `keep` are written by the insert only."""
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key and name not in keep}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), list(rows))
