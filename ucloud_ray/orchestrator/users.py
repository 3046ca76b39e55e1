"""Users with passwords: who there is, logging in and out, tokens that end with their log-in.

A user whom nobody added may exist all the same: whoever has the key of the installation makes tokens for any name
(`ucloud-ray token`). One that was removed has no valid token of either kind any more.

    password ──▶ refresh token (90 days, kept as a digest) ──▶ access token (10 minutes), again and again
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import passwords, user_rows
from ucloud_ray.orchestrator.attempts import MOST_OF_ONE_ADDRESS, MOST_OF_ONE_NAME, Attempts
from ucloud_ray.orchestrator.errors import BadRequest, Conflict, NotFound, Unauthorized
from ucloud_ray.orchestrator.items import NewUser
from ucloud_ray.orchestrator.keys import UserKey
from ucloud_ray.orchestrator.tokens import Blocked, User, user_token
from ucloud_ray.orchestrator.user_rows import Account

ACCESS_SECONDS = 600
LOGIN_MILLIS = 90 * 24 * 3600 * 1000
MOST_NAME_CHARACTERS = 200
ROLES = ("USER", "ADMIN")
_log = logging.getLogger(__name__)

_WRONG = "The user name or the password is wrong."
_LOGGED_OUT = "You are not logged in any more; log in again."


class Users:
    def __init__(self, database: Database, key: UserKey, blocked: Blocked, now: Callable[[], int]) -> None:
        self._database = database
        self._key = key
        self._blocked = blocked
        self._now = now
        self._by_name, self._by_address = Attempts(MOST_OF_ONE_NAME), Attempts(MOST_OF_ONE_ADDRESS)

    async def load(self) -> None:
        """Whose tokens are void; once, at the start."""
        since = self._now() - 1000 * ACCESS_SECONDS

        def read(connection: Connection) -> tuple[set[str], Sequence[str]]:
            return user_rows.removed(connection), user_rows.ended_since(connection, since)

        removed, ended = await self._database.read(read)
        self._blocked.users |= removed
        self._blocked.logins |= {_reference(digest) for digest in ended}

    # --------------------------------------------------------------------------------------------------- log-in

    async def log_in(self, username: str, password: str, address: str) -> dict[str, str]:
        """The tokens. Raises `Unauthorized` with one text for all that can be wrong, `TooMany`."""
        self._by_name.require_room(username)
        self._by_address.require_room(address)
        account = await self._database.read(lambda connection: user_rows.find(connection, username))
        kept = None if account is None or account.removed_at is not None else account.password_hash
        if not await asyncio.to_thread(passwords.is_right, kept, password) or account is None:
            self._by_name.failed(username)
            self._by_address.failed(address)
            raise Unauthorized(_WRONG)
        self._by_name.succeeded(username)
        refresh, now = secrets.token_urlsafe(48), self._now()
        digest = _digest(refresh)
        await self._database.write(
            lambda connection: user_rows.add_login(connection, digest, username, now, now + LOGIN_MILLIS)
        )
        _log.info("%s logged in", username)
        return {**self._access(account, digest), "refreshToken": refresh}

    async def refresh(self, refresh_token: str) -> dict[str, str]:
        """Another access token. Raises `Unauthorized`."""
        digest = _digest(refresh_token)

        def read(connection: Connection) -> Account | None:
            username = user_rows.user_of_login(connection, digest, self._now())
            return None if username is None else user_rows.find(connection, username)

        account = await self._database.read(read)
        if account is None or account.removed_at is not None:
            raise Unauthorized(_LOGGED_OUT)
        return self._access(account, digest)

    async def log_out(self, refresh_token: str) -> None:
        """Its access tokens end at once. One that is not known is no error."""
        digest = _digest(refresh_token)
        await self._end(digest=digest)

    def _access(self, account: Account, digest: str) -> dict[str, str]:
        token = user_token(
            self._key,
            account.username,
            admin=account.role == "ADMIN",
            lifetime=ACCESS_SECONDS,
            login=_reference(digest),
        )
        return {"accessToken": token, "csrfToken": ""}

    async def _end(self, *, digest: str = "", username: str = "") -> None:
        now = self._now()
        ended = await self._database.write(
            lambda connection: user_rows.end_logins(connection, now, digest=digest, username=username)
        )
        self._blocked.logins |= {_reference(one) for one in ended}

    # ---------------------------------------------------------------------------------------------------- users

    async def add(self, wanted: Sequence[NewUser]) -> None:
        """All or none. Raises `BadRequest`, `Conflict`."""
        accounts = [await self._account(user) for user in wanted]
        if len({account.username for account in accounts}) < len(accounts):
            raise BadRequest("items: one user stands there twice; nobody was added")

        def write(connection: Connection) -> None:
            for account in accounts:
                known = user_rows.find(connection, account.username)
                if known is not None and known.removed_at is None:
                    raise Conflict(f"There is a user {account.username!r} already; nobody was added.")
                user_rows.put(connection, account)

        await self._database.write(write)
        self._blocked.users -= {account.username for account in accounts}

    async def _account(self, wanted: NewUser) -> Account:
        check_username(wanted.username)
        if wanted.role not in ROLES:
            raise BadRequest("role: must be USER or ADMIN")
        kept = await asyncio.to_thread(passwords.hashed, wanted.password)
        return Account(wanted.username, wanted.role, kept, self._now(), None)

    async def browse(self) -> list[dict[str, Any]]:
        found = await self._database.read(user_rows.present)
        return [{"username": one.username, "role": one.role, "createdAt": one.created_at} for one in found]

    async def remove(self, usernames: Sequence[str]) -> None:
        """Their tokens are void at once; what is theirs stays. Raises `NotFound`, and then nobody was removed."""
        now = self._now()

        def write(connection: Connection) -> None:
            for username in usernames:
                _require(connection, username)
                user_rows.change(connection, username, removed_at=now, password_hash=None)

        await self._database.write(write)
        self._blocked.users |= set(usernames)
        for username in usernames:
            await self._end(username=username)

    async def set_password(self, username: str, password: str) -> None:
        """By an administrator. Every log-in ends. Raises `NotFound`, `BadRequest`."""
        kept = await asyncio.to_thread(passwords.hashed, password)

        def write(connection: Connection) -> None:
            _require(connection, username)
            user_rows.change(connection, username, password_hash=kept)

        await self._database.write(write)
        await self._end(username=username)

    async def change_password(self, user: User, current: str, password: str) -> None:
        """One's own. Every log-in ends. Raises `Unauthorized`, `BadRequest`, `TooMany`."""
        self._by_name.require_room(user.name)
        account = await self._database.read(lambda connection: user_rows.find(connection, user.name))
        if not await asyncio.to_thread(passwords.is_right, account.password_hash if account else None, current):
            self._by_name.failed(user.name)
            raise Unauthorized("The current password is wrong.")
        await self.set_password(user.name, password)


def check_username(name: str) -> None:
    """Raises `BadRequest`."""
    if not name or name != name.strip() or len(name) > MOST_NAME_CHARACTERS or name.startswith(("#P_", "_")):
        raise BadRequest(f"username: {name!r} cannot be the name of a user")
    if any(not character.isprintable() for character in name):
        raise BadRequest("username: must not contain control characters")


def _require(connection: Connection, username: str) -> None:
    account = user_rows.find(connection, username)
    if account is None or account.removed_at is not None:
        raise NotFound(f"There is no user {username!r}.")


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode(errors="replace")).hexdigest()


def _reference(digest: str) -> str:
    """Of a log-in, in access tokens: says nothing of its refresh token."""
    return digest[:32]
