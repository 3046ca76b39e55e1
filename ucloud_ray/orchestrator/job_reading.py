"""Reading jobs, for users: retrieve, browse, search (end-user-api 3). Nothing here changes anything."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access, grant_rows, job_rows
from ucloud_ray.orchestrator.job_query import Filters, Flags, Page
from ucloud_ray.orchestrator.job_record import JobRecord
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.view import Grants, JobView

_Loaded = tuple[list[JobRecord], str | None, dict[int, list[bytes]], dict[int, dict[str, list[str]]]]


class JobReading:
    def __init__(self, database: Database, view: JobView) -> None:
        self._database = database
        self._view = view

    async def retrieve(self, user: User, job_id: str, flags: Flags, filters: Filters) -> dict[str, Any]:
        """Raises `NotFound`, also when a filter does not match."""

        def work(connection: Connection) -> tuple[access.Reached, list[bytes]]:
            reached = access.reach(connection, user, job_id, access.READ, filters)
            number = reached.record.id
            return reached, job_rows.updates_of(connection, [number]).get(number, []) if flags.updates else []

        reached, updates = await self._database.read(work)
        return self._view.job(reached.record, flags, reached.myself, updates, reached.grants)

    async def browse(
        self, user: User, flags: Flags, filters: Filters, page: Page, project: str | None = None
    ) -> dict[str, Any]:
        """`PageV2<Job>` of the caller's own jobs and of those that others share with them; in a project of those that
        the caller may see there."""
        records, after, updates, grants = await self._load(_seen_by(user, project), flags, filters, page)
        shown = [
            self._view.job(
                record,
                flags,
                access.permissions(user, record, grants.get(record.id, {})),
                updates.get(record.id, ()),
                grants.get(record.id),
            )
            for record in records
        ]
        return {"itemsPerPage": page.size, "items": shown, "next": after}

    async def browse_provider(self, provider: str, flags: Flags, filters: Filters, page: Page) -> dict[str, Any]:
        """The same for a provider: all its jobs (control-api 5.2)."""
        records, after, updates, grants = await self._load(job_rows.of_provider(provider), flags, filters, page)
        shown = [
            self.for_provider(record, flags, updates.get(record.id, []), grants.get(record.id, {}))
            for record in records
        ]
        return {"itemsPerPage": page.size, "items": shown, "next": after}

    def for_provider(self, record: JobRecord, flags: Flags, updates: list[bytes], grants: Grants) -> dict[str, Any]:
        return self._view.job(record, flags, ("READ", "PROVIDER"), updates, grants)

    async def _load(self, whose: ColumnElement[bool], flags: Flags, filters: Filters, page: Page) -> _Loaded:
        def work(connection: Connection) -> _Loaded:
            records, after = job_rows.browse(connection, whose, filters, page)
            ids = [record.id for record in records]
            updates = job_rows.updates_of(connection, ids) if flags.updates else {}
            return records, after, updates, grant_rows.grants_of(connection, ids)

        return await self._database.read(work)


def _seen_by(user: User, project: str | None) -> ColumnElement[bool]:
    keys = user.membership.names()
    if project is None:
        return job_rows.of_user(user.name, keys)
    everything = user.is_admin or user.membership.leads(project)
    return job_rows.of_project(project, user.name, keys, all_of_it=everything)
