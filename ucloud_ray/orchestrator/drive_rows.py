"""Statements about drives: since when they are known, and rights that their owners gave to others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, select

from ucloud_ray.db.columns import upsert
from ucloud_ray.orchestrator.tables import drive_grants, drives


def remember(connection: Connection, ids: Iterable[str], now: int) -> None:
    """Drives that are not known yet are from now on."""
    known = set(connection.execute(select(drives.c.id)).scalars())
    rows = [{"id": drive, "created_at": now} for drive in ids if drive not in known]
    if rows:
        connection.execute(insert(drives), rows)


def created(connection: Connection) -> dict[str, int]:
    """Drive to when it became known."""
    return {row.id: row.created_at for row in connection.execute(select(drives))}


def grants_of(connection: Connection, ids: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Drive to user to permissions."""
    found: dict[str, dict[str, list[str]]] = {}
    query = select(drive_grants).where(drive_grants.c.drive_id.in_(list(ids))).order_by(drive_grants.c.username)
    for row in connection.execute(query):
        found.setdefault(row.drive_id, {})[row.username] = row.permissions.split()
    return found


def change_grants(
    connection: Connection, drive: str, added: Mapping[str, Iterable[str]], deleted: Iterable[str]
) -> None:
    """Removes first, so that somebody in both lists ends with what was added. A new entry replaces the old one."""
    of_drive = drive_grants.c.drive_id == drive
    connection.execute(delete(drive_grants).where(of_drive, drive_grants.c.username.in_(list(deleted))))
    rows = [
        {"drive_id": drive, "username": username, "permissions": " ".join(sorted(set(permissions)))}
        for username, permissions in added.items()
    ]
    upsert(connection, drive_grants, rows)
