"""Acting on jobs: terminate, extend, suspend, sessions, permissions, utilization (end-user-api 5, 6 and 8).

The orchestrator checks who asks and what the product supports, and hands the rest to the provider, for jobs in any
state (O9): what has changed comes back as an update. 200 means that the provider accepted the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access, grant_rows, job_rows, label_rows, wallet_rows
from ucloud_ray.orchestrator.acl_rules import check_acl, check_groups, key_of
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.errors import BadGateway, BadRequest, PaymentRequired, ProviderRefused
from ucloud_ray.orchestrator.items import LabelsItem, RenameItem, SessionItem
from ucloud_ray.orchestrator.job_rules import NAME, check_labels
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.restarts import Restarts
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.wire.common import FindByStringId
from ucloud_ray.wire.jobs import UserExtendItem
from ucloud_ray.wire.resources import UpdatedAcl

_SESSION_FEATURES = {"SHELL": ("terminal", "Terminal"), "WEB": ("web", "Web"), "VNC": ("vnc", "VNC")}


class JobActions:
    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        products: ProductBook,
        provider: ProviderClient,
        view: JobView,
        restarts: Restarts,
        provider_domain: str,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._products = products
        self._provider = provider
        self._view = view
        self._restarts = restarts
        self._provider_domain = provider_domain
        self._now = now

    async def terminate(self, user: User, items: Sequence[FindByStringId]) -> list[Any]:
        """A job that waits for its next start ends here; all others at the provider."""
        jobs = await self._reach(user, [item.id for item in items])
        waiting = [job for job in jobs if job.record.facts.restart_at is not None]
        over = {job.record.id for job in waiting if await self._restarts.cancel(job.record, user.name)}
        rest = [self._job(job) for job in jobs if job.record.id not in over]
        if rest:
            await self._provider.bulk("jobs/terminate", rest, user.name)
        return [{} for _ in items]

    async def extend(self, user: User, items: Sequence[UserExtendItem]) -> list[Any]:
        """Adds time; visible when the provider has confirmed it with an update."""
        jobs = await self._reach(user, [item.job_id for item in items])
        for job in jobs:
            self._require(job, "timeExtension", "Extending the time of a job")
        pairs = zip(jobs, items, strict=True)
        content = [{"job": self._job(job), "requestedTime": item.requested_time.model_dump()} for job, item in pairs]
        await self._provider.bulk("jobs/extend", content, user.name)
        return [{} for _ in items]

    async def suspend(self, user: User, items: Sequence[FindByStringId]) -> list[Any]:
        jobs = await self._reach(user, [item.id for item in items])
        await self._provider.bulk("jobs/suspend", [{"job": self._job(job)} for job in jobs], user.name)
        return [{} for _ in items]

    async def unsuspend(self, user: User, items: Sequence[FindByStringId]) -> list[Any]:
        """Raises `PaymentRequired` with an empty wallet (SUS-7). A job that waits for its next start begins it now."""
        jobs = await self._reach(user, [item.id for item in items])
        await self._database.read(lambda connection: self._require_funds(connection, jobs))
        waiting = [job for job in jobs if job.record.facts.restart_at is not None]
        begun = {job.record.id for job in waiting if await self._restarts.hasten(job.record)}
        rest = [{"job": self._job(job)} for job in jobs if job.record.id not in begun]
        if rest:
            await self._provider.bulk("jobs/unsuspend", rest, user.name)
        return [{} for _ in items]

    async def open_sessions(self, user: User, items: Sequence[SessionItem]) -> list[Any]:
        jobs = await self._reach(user, [item.id for item in items])
        for job, item in zip(jobs, items, strict=True):
            feature, name = _SESSION_FEATURES.get(item.session_type, (item.session_type, item.session_type))
            self._require(job, feature, f"{name} access")
        content = [
            {"job": self._job(job), "rank": item.rank, "sessionType": item.session_type, "target": item.target}
            for job, item in zip(jobs, items, strict=True)
        ]
        sessions = await self._provider.bulk("jobs/interactiveSession", content, user.name)
        if len(sessions) != len(items) or not all(isinstance(session, dict) for session in sessions):
            raise BadGateway("Bad response from provider")
        return [self._with_provider(session) for session in sessions]

    async def update_acl(self, user: User, items: Sequence[UpdatedAcl]) -> list[Any]:
        """Stored once the provider has taken note of it (provider-api 6.9)."""
        for item in items:
            check_acl(item, user.directory)
        jobs = await self._reach(user, [item.id for item in items], access.ADMIN)
        for job, item in zip(jobs, items, strict=True):
            check_groups(item, job.record.project)
        content = [
            {
                "resource": self._job(job),
                "added": [entry.model_dump(by_alias=True, exclude_none=True) for entry in item.added],
                "deleted": [entity.model_dump(by_alias=True, exclude_none=True) for entity in item.deleted],
            }
            for job, item in zip(jobs, items, strict=True)
        ]
        await self._provider.bulk("jobs/updateAcl", content, user.name)
        for job, item in zip(jobs, items, strict=True):
            await self._store_acl(job.record.id, item)
        return [{} for _ in items]

    async def rename(self, user: User, items: Sequence[RenameItem]) -> None:
        for item in items:
            if item.new_title and not NAME.fullmatch(item.new_title):
                raise BadRequest("newTitle: only letters, digits, '_', blanks, '(', ')', ':' and '-' are allowed")
        jobs = await self._reach(user, [item.id for item in items])
        titles = [(job.record.id, item.new_title or None) for job, item in zip(jobs, items, strict=True)]
        await self._database.write(lambda connection: job_rows.set_titles(connection, titles))

    async def update_labels(self, user: User, items: Sequence[LabelsItem]) -> None:
        """One job after the other: the first that fails ends the call, earlier ones stay changed. Stored once the
        provider has taken note (provider-api 6.14); one that does not know the call is not interested."""
        for item in items:
            check_labels(item.labels or {})
        jobs = await self._reach(user, [item.id for item in items])
        for job, item in zip(jobs, items, strict=True):
            labels = item.labels or {}
            record = replace(job.record, specification=label_rows.labelled(job.record.specification, labels))
            try:
                await self._provider.bulk("jobs/onUpdatedLabels", [self._job(replace(job, record=record))], user.name)
            except ProviderRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
            await self._store_labels(record.id, labels)

    async def utilization(self, user: User, job_id: str) -> Any:
        """How busy machines of the job's type are."""
        job = (await self._reach(user, [job_id], access.READ))[0]
        self._require(job, "utilization", "Showing the utilization")
        query = {"categoryId": job.record.product_category}
        return await self._provider.get("jobs/retrieveUtilization", query, user.name)

    async def init(self, user: User) -> None:
        """Ask the provider to prepare the workspace (provider-api 6.7)."""
        await self._provider.post("jobs/init", {"principal": {"createdBy": user.name, "project": None}}, user.name)

    def _require_funds(self, connection: Connection, jobs: Sequence[access.Reached]) -> None:
        for record in (job.record for job in jobs):
            owner = wallet_rows.owner_of(record.created_by, record.project)
            category = (record.provider, record.product_category)
            costs = self._products.costs(record.product_key)
            if costs and not wallet_rows.can_pay(connection, owner, category, self._now()):
                raise PaymentRequired(
                    "You do not have any resources to run the machine. "
                    f"Ask an administrator for more credits for {record.product_category}."
                )

    async def _reach(self, user: User, job_ids: Sequence[str], needed: str = access.EDIT) -> list[access.Reached]:
        return await self._database.read(lambda connection: access.reach_all(connection, user, job_ids, needed))

    async def _store_acl(self, number: int, item: UpdatedAcl) -> None:
        added = {key_of(entry.entity): entry.permissions for entry in item.added}
        deleted = [key_of(entity) for entity in item.deleted]
        await self._database.write(lambda connection: grant_rows.change_grants(connection, number, added, deleted))

    async def _store_labels(self, number: int, labels: Mapping[str, str]) -> None:
        await self._database.write(lambda connection: label_rows.replace_labels(connection, number, labels))

    def _job(self, job: access.Reached) -> Any:
        return self._view.for_provider(job.record, job.myself, job.grants)

    def _require(self, job: access.Reached, feature: str, what: str) -> None:
        record = job.record
        entry = self._catalogue.find(record.application_name, record.application_version)
        support = self._products.support(record.product_key)
        if entry is None or support is None or not support.has(entry.backend, feature):
            raise BadRequest(f"{what} is not supported by this provider")

    def _with_provider(self, session: dict[str, Any]) -> dict[str, Any]:
        domain = session.get("domainOverride") or self._provider_domain
        return {"providerDomain": domain, "providerId": self._provider.id, "session": session}
