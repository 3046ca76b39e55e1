"""Drives as resources: the configured ones, which their owners share, shown to users and the provider and asked about
jobs; and homes that the provider makes on demand, shown to their owners, whose alone they are.

A change of rights is stored once the provider has taken note of it (provider-api 6.9), which looks at its jobs
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import drive_rows
from ucloud_ray.orchestrator.access import ADMIN, EVERYTHING, READ
from ucloud_ray.orchestrator.acl_rules import check_acl, check_groups, key_of
from ucloud_ray.orchestrator.drive_rules import Grants, drives_named, own_home, permissions, shown, with_rights
from ucloud_ray.orchestrator.errors import NotFound
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.settings import DriveSettings
from ucloud_ray.wire.jobs import JobSpecification
from ucloud_ray.wire.resources import UpdatedAcl

Loaded = tuple[dict[str, int], dict[str, dict[str, list[str]]]]
"""When each became known, and its grants."""
_OF_PROVIDER = ("READ", "PROVIDER")


class SharedDrives:
    def __init__(
        self,
        database: Database,
        drives: Sequence[DriveSettings],
        homes: bool,
        provider: ProviderClient,
        now: Callable[[], int],
    ) -> None:
        """`homes`: the provider makes one for a user who has no drive."""
        self._database = database
        self._homes = homes
        self._drives = {drive.id: drive for drive in sorted(drives, key=lambda drive: drive.id)}
        self._provider = provider
        self._now = now

    async def remember(self) -> None:
        """Once, at the start."""
        now = self._now()
        await self._database.write(lambda connection: drive_rows.remember(connection, self._drives, now))

    async def browse(self, user: User, size: int, offset: int, others: bool) -> dict[str, Any]:
        """`PageV2` of the drives that the user may see."""
        created, grants = await self._load(self._drives)
        home = self._home(user)
        seen = [
            self._shown(drive, created, grants, myself, others)
            for drive in [*([home] if home else []), *self._drives.values()]
            if (myself := permissions(user, drive, grants.get(drive.id, {})))
        ]
        return _page(seen, size, offset)

    async def retrieve(self, user: User, drive_id: str, others: bool) -> dict[str, Any]:
        """Raises `NotFound`."""
        return await self.reach(user, drive_id, READ, others)

    async def update_acl(self, user: User, items: Sequence[UpdatedAcl]) -> list[Any]:
        """Raises `NotFound`, `Forbidden`, `BadRequest`, and what the provider answers."""
        for item in items:
            check_acl(item, user.directory)
        created, grants = await self._load([item.id for item in items])
        content = [self._notice(user, item, created, grants) for item in items]
        await self._provider.bulk("files/collections/updateAcl", content, user.name)
        await self._database.write(lambda connection: _store(connection, items))
        return [{} for _ in items]

    async def browse_provider(self, ids: Sequence[str] | None, size: int, offset: int, others: bool) -> dict[str, Any]:
        """All of them, or those of `ids` that there are (control-api 10.4)."""
        wanted = [drive for drive in self._drives.values() if ids is None or drive.id in ids]
        created, grants = await self._load([drive.id for drive in wanted])
        return _page([self._shown(drive, created, grants, _OF_PROVIDER, others) for drive in wanted], size, offset)

    async def retrieve_provider(self, drive_id: str, others: bool) -> dict[str, Any]:
        """Raises `NotFound`."""
        found = (await self.browse_provider([drive_id], 1, 0, others))["items"]
        if not found:
            raise _not_found(drive_id)
        return dict(found[0])

    async def allow(self, user: User, specs: Sequence[JobSpecification]) -> list[JobSpecification]:
        """The specifications with the user's rights on their files. Raises `BadRequest`."""
        named = {drive for spec in specs for drive in drives_named(spec)} & self._drives.keys()
        if not named:
            return list(specs)
        _, grants = await self._load(named)

        def rights(drive_id: str) -> Sequence[str] | None:
            drive = self._drives.get(drive_id)
            return None if drive is None else permissions(user, drive, grants.get(drive_id, {}))

        return [with_rights(spec, rights) for spec in specs]

    async def reach(self, user: User, drive_id: str, needed: str, others: bool = False) -> dict[str, Any]:
        """The drive as the provider and its user see it: one of the configured ones, or the user's own home. Raises
        `NotFound` also for one that the user may not use like that."""
        created, grants = await self._load([drive_id])
        home = self._home(user)
        if home is not None and home.id == drive_id:
            return self._shown(home, created, grants, EVERYTHING, others)
        drive, myself = self._reach(user, drive_id, grants.get(drive_id, {}), needed)
        return self._shown(drive, created, grants, myself, others)

    # ------------------------------------------------------------------------------------------------ internal

    def _home(self, user: User) -> DriveSettings | None:
        return own_home(user.name, self._drives.values()) if self._homes else None

    async def _load(self, ids: Iterable[str]) -> Loaded:
        wanted = [drive for drive in ids if drive in self._drives]
        return await self._database.read(
            lambda connection: (drive_rows.created(connection), drive_rows.grants_of(connection, wanted))
        )

    def _notice(self, user: User, item: UpdatedAcl, created: dict[str, int], grants: dict[str, Any]) -> dict[str, Any]:
        drive, myself = self._reach(user, item.id, grants.get(item.id, {}), ADMIN)
        check_groups(item, drive.owner.project_id)
        return {
            "resource": self._shown(drive, created, grants, myself, True),
            "added": [entry.model_dump(by_alias=True, exclude_none=True) for entry in item.added],
            "deleted": [entity.model_dump(by_alias=True, exclude_none=True) for entity in item.deleted],
        }

    def _reach(self, user: User, drive_id: str, grants: Grants, needed: str) -> tuple[DriveSettings, Sequence[str]]:
        """ "Not found" and "not permitted" are one answer."""
        drive = self._drives.get(drive_id)
        if drive is None or needed not in (myself := permissions(user, drive, grants)):
            raise _not_found(drive_id)
        return drive, myself

    def _shown(
        self, drive: DriveSettings, created: dict[str, int], grants: dict[str, Any], myself: Sequence[str], others: bool
    ) -> dict[str, Any]:
        given = grants.get(drive.id, {}) if others else None
        return shown(drive, self._provider.id, created.get(drive.id, 0), myself, given)


def _store(connection: Connection, items: Sequence[UpdatedAcl]) -> None:
    for item in items:
        added = {key_of(entry.entity): entry.permissions for entry in item.added}
        drive_rows.change_grants(connection, item.id, added, [key_of(entity) for entity in item.deleted])


def _page(items: list[dict[str, Any]], size: int, offset: int) -> dict[str, Any]:
    following = offset + size
    return {
        "itemsPerPage": size,
        "items": items[offset:following],
        "next": str(following) if following < len(items) else None,
    }


def _not_found(drive_id: str) -> NotFound:
    return NotFound(f"Not found or permission denied ({drive_id})")
