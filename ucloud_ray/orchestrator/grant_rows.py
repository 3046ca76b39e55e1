"""Statements about rights that the owner of a job gave to others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select

from ucloud_ray.db.columns import upsert
from ucloud_ray.orchestrator.tables import grants


def grants_of(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    """Job to user to permissions."""
    found: dict[int, dict[str, list[str]]] = {}
    for row in connection.execute(select(grants).where(grants.c.job_id.in_(list(ids)))):
        found.setdefault(row.job_id, {})[row.username] = row.permissions.split()
    return found


def change_grants(
    connection: Connection, job_id: int, added: Mapping[str, Iterable[str]], deleted: Iterable[str]
) -> None:
    """Removes first, so that somebody in both lists ends with what was added. A new entry replaces the old one."""
    connection.execute(delete(grants).where(grants.c.job_id == job_id, grants.c.username.in_(list(deleted))))
    rows = [
        {"job_id": job_id, "username": username, "permissions": " ".join(sorted(set(permissions)))}
        for username, permissions in added.items()
    ]
    upsert(connection, grants, rows)
