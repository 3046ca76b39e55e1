"""Statements about users and their log-ins. Functions of a connection, run inside `Database.read` and `write`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from ucloud_ray.orchestrator.tables import logins, users


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    role: str
    """`USER` or `ADMIN`."""
    password_hash: str | None
    created_at: int
    removed_at: int | None


def find(connection: Connection, username: str) -> Account | None:
    """Also one that was removed. No name holds a NUL character, which PostgreSQL cannot be asked for."""
    if "\0" in username:
        return None
    row = connection.execute(select(users).where(users.c.username == username)).one_or_none()
    return None if row is None else Account(*row)


def present(connection: Connection) -> list[Account]:
    """Those that were not removed, by name."""
    query = select(users).where(users.c.removed_at.is_(None)).order_by(users.c.username)
    return [Account(*row) for row in connection.execute(query)]


def removed(connection: Connection) -> set[str]:
    return set(connection.execute(select(users.c.username).where(users.c.removed_at.is_not(None))).scalars())


def put(connection: Connection, account: Account) -> None:
    """In place of one that was removed, too."""
    connection.execute(delete(users).where(users.c.username == account.username))
    connection.execute(insert(users).values(**_columns(account)))


def change(connection: Connection, username: str, **values: Any) -> None:
    connection.execute(update(users).where(users.c.username == username).values(**values))


def add_login(connection: Connection, digest: str, username: str, now: int, expires_at: int) -> None:
    """Those that have expired are forgotten on the way."""
    connection.execute(delete(logins).where(or_(logins.c.expires_at < now)))
    values = {"digest": digest, "username": username, "created_at": now, "expires_at": expires_at}
    connection.execute(insert(logins).values(values))


def user_of_login(connection: Connection, digest: str, now: int) -> str | None:
    """Whose it is, if it is good now."""
    found = select(logins.c.username).where(
        logins.c.digest == digest, logins.c.expires_at > now, logins.c.ended_at.is_(None)
    )
    name: str | None = connection.execute(found).scalar()
    return name


def end_logins(connection: Connection, now: int, *, digest: str = "", username: str = "") -> list[str]:
    """One, or all of a user; which ones were ended by this."""
    which = logins.c.digest == digest if digest else logins.c.username == username
    going = list(connection.execute(select(logins.c.digest).where(which, logins.c.ended_at.is_(None))).scalars())
    connection.execute(update(logins).where(logins.c.digest.in_(going)).values(ended_at=now))
    return going


def ended_since(connection: Connection, moment: int) -> Sequence[str]:
    """Whose access tokens may not have expired yet."""
    return list(connection.execute(select(logins.c.digest).where(logins.c.ended_at >= moment)).scalars())


def _columns(account: Account) -> dict[str, Any]:
    return {
        "username": account.username,
        "role": account.role,
        "password_hash": account.password_hash,
        "created_at": account.created_at,
        "removed_at": account.removed_at,
    }
