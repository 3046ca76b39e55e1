"""Jobs that a provider started outside of UCloud and tells us of (control-api 6).

The provider is not asked to start them, nobody checks their application and their parameters (G), and they cost nothing
before the provider charges for them. Updates follow as for any other job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import job_rows
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.errors import BadRequest, Conflict, Forbidden
from ucloud_ray.orchestrator.items import RegisterItem
from ucloud_ray.orchestrator.job_record import Draft, JobRecord
from ucloud_ray.orchestrator.job_rules import check_text, registered_draft

UNOWNED = "_ucloud"
"""Who has a job of nobody (G)."""
UNKNOWN_BACKEND = "DOCKER"


class Registration:
    def __init__(self, database: Database, catalogue: Catalogue, now: Callable[[], int]) -> None:
        self._database = database
        self._catalogue = catalogue
        self._now = now

    async def register(self, provider: str, items: Sequence[RegisterItem]) -> list[dict[str, Any]]:
        """Ids of the new jobs; all or none. Raises `Forbidden`, `BadRequest`, and `Conflict` for an id at the provider
        that another job has, or that stands here twice."""
        drafts = [self._draft(provider, item, f"items[{index}]") for index, item in enumerate(items)]
        given = [item.provider_generated_id for item in items if item.provider_generated_id]
        if len(set(given)) < len(given):
            raise Conflict("providerGeneratedId: one id stands in this request twice; nothing was registered")

        def work(connection: Connection) -> list[JobRecord]:
            return [self._insert(connection, provider, draft, item) for draft, item in zip(drafts, items, strict=True)]

        return [{"id": str(record.id)} for record in await self._database.write(work)]

    def _draft(self, provider: str, item: RegisterItem, where: str) -> Draft:
        if item.spec.product.provider != provider:
            raise Forbidden(f"{where}.spec.product: it belongs to another provider")
        if item.project_all_read or item.project_all_write:
            raise BadRequest(f"{where}: rights for all members of a project cannot be given here; leave them out")
        check_text(item.provider_generated_id or "", f"{where}.providerGeneratedId")
        entry = self._catalogue.find(item.spec.application.name, item.spec.application.version)
        backend = UNKNOWN_BACKEND if entry is None else entry.backend
        return registered_draft(item.spec, backend, item.created_by or UNOWNED, item.project)

    def _insert(self, connection: Connection, provider: str, draft: Draft, item: RegisterItem) -> JobRecord:
        theirs = item.provider_generated_id or None
        if theirs and job_rows.is_known_at(connection, provider, theirs):
            raise Conflict(f"providerGeneratedId: the job {theirs!r} of this provider is registered already")
        (record,) = job_rows.insert_drafts(connection, [draft], self._now())
        job_rows.accept(connection, record, theirs)
        return record
