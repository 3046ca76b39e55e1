"""Users of our own orchestrator, for its administrators; and one's own password. Behind `client.users`."""

from __future__ import annotations

from collections.abc import Iterable

from ucloud_ray.client.calls import Group, R, call, nothing, reads
from ucloud_ray.client.effects import Json, Plan
from ucloud_ray.wire.users import Account


class Users(Group[R]):
    @call(reads(list[Account]))
    def browse(self) -> Plan[Json]:
        """Those that were added and not removed."""
        return (yield from self._session.ask("GET", "/auth/users/browse"))["items"]

    @call(nothing)
    def add(self, username: str, password: str, role: str = "USER") -> Plan[None]:
        """`role`: `USER` or `ADMIN`. Raises `Refused` when the name is taken."""
        item = {"username": username, "password": password, "role": role}
        yield from self._session.ask("POST", "/auth/users/register", body={"items": [item]})

    @call(nothing)
    def remove(self, usernames: Iterable[str]) -> Plan[None]:
        """Nobody of them can do anything any more; what is theirs stays."""
        items = [{"username": name} for name in usernames]
        yield from self._session.ask("POST", "/auth/users/remove", body={"items": items})

    @call(nothing)
    def set_password(self, username: str, password: str) -> Plan[None]:
        """Every log-in of the user ends."""
        body = {"items": [{"username": username, "password": password}]}
        yield from self._session.ask("POST", "/auth/users/password/reset", body=body, repeatable=True)

    @call(nothing)
    def change_own_password(self, current: str, new: str) -> Plan[None]:
        """Every log-in ends, this one too."""
        yield from self._session.ask(
            "POST", "/auth/users/password", body={"currentPassword": current, "newPassword": new}
        )
