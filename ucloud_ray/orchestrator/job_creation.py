"""Creating jobs: check, store, offer to the provider, keep or delete (end-user-api 4, provider-api 6.1).

A job is stored before the provider hears of it, because updates may overtake the answer (O8), and deleted when the
provider refuses it or does not answer. Its id is then never used again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import job_rows
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.drives import SharedDrives
from ucloud_ray.orchestrator.errors import ApiError, BadGateway, BadRequest
from ucloud_ray.orchestrator.job_record import Draft, JobRecord
from ucloud_ray.orchestrator.job_rules import draft_of
from ucloud_ray.orchestrator.ledger import Books, Category
from ucloud_ray.orchestrator.peers import WantedPeer, check_reachable, wanted_peers
from ucloud_ray.orchestrator.products import ProductBook, key_of
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.orchestrator.wallet_feed import WalletFeed
from ucloud_ray.orchestrator.wallet_rows import Owner, owner_of
from ucloud_ray.wire.jobs import JobSpecification

AT_ONCE = 16
"""Offers of one bulk request that are under way together."""
_log = logging.getLogger(__name__)


class JobCreation:
    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        products: ProductBook,
        drives: SharedDrives,
        provider: ProviderClient,
        view: JobView,
        books: Books,
        feed: WalletFeed,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._products = products
        self._drives = drives
        self._provider = provider
        self._view = view
        self._books = books
        self._feed = feed
        self._now = now

    async def create(self, user: User, specs: Sequence[JobSpecification], project: str | None = None) -> list[Any]:
        """An id object per item; `null` for items that the provider refused, unless none was taken.

        Raises `ApiError`. A specification that is wrong refuses the whole request before anything is stored.
        """
        specs = await self._drives.allow(user, specs)
        drafts = [self._draft(user, spec, project) for spec in specs]
        peers = [peer for spec in specs for peer in self._peers(spec)]
        if peers:
            await self._database.read(lambda connection: check_reachable(connection, user, peers))
        records = await self._store(drafts)
        limit = asyncio.Semaphore(AT_ONCE)
        outcomes = await asyncio.gather(*(self._offer(user, record, limit) for record in records))
        errors = [outcome for outcome in outcomes if outcome is not None]
        if len(errors) == len(outcomes):
            raise errors[0]
        return [
            {"id": str(record.id)} if error is None else None for record, error in zip(records, outcomes, strict=True)
        ]

    async def _store(self, drafts: Sequence[Draft]) -> list[JobRecord]:
        """All of them or, with an empty wallet, none (ACC-18)."""
        now = self._now()
        paid = {_wallet_of(draft) for draft in drafts if self._products.costs(key_of(draft.product))}

        def work(connection: Connection) -> tuple[list[JobRecord], list[int]]:
            ledger = self._books(connection)
            for owner, category in paid:
                ledger.require(owner, category)
            return job_rows.insert_drafts(connection, drafts, now), ledger.close()

        records, changed = await self._database.write(work)
        self._feed.publish(changed)
        return records

    def _draft(self, user: User, spec: JobSpecification, project: str | None) -> Draft:
        entry = self._catalogue.find(spec.application.name, spec.application.version)
        if entry is None:
            raise BadRequest(
                f"application: there is no application {spec.application.name} in version {spec.application.version}"
            )
        support = self._products.supported(spec.product)
        return draft_of(spec, entry, support, user.name, project)

    def _peers(self, spec: JobSpecification) -> list[WantedPeer]:
        """Of a specification that is right otherwise."""
        entry = self._catalogue.find(spec.application.name, spec.application.version)
        return [] if entry is None else wanted_peers(spec, entry, self._products.supported(spec.product))

    async def _offer(self, user: User, record: JobRecord, limit: asyncio.Semaphore) -> ApiError | None:
        try:
            async with limit:
                responses = await self._provider.bulk("jobs", [self._view.for_provider(record)], user.name)
            provider_id = _provider_generated_id(responses)
            await self._database.write(lambda connection: job_rows.accept(connection, record, provider_id))
        except ApiError as error:
            _log.info("job %s was not accepted: %s", record.id, error.why)
            await self._database.write(lambda connection: job_rows.remove(connection, record.id))
            return error
        return None


def _wallet_of(draft: Draft) -> tuple[Owner, Category]:
    return owner_of(draft.created_by, draft.project), (draft.product.provider, draft.product.category)


def _provider_generated_id(responses: Sequence[Any]) -> str | None:
    """`null`, `{}`, `{"id": ""}` and `{"id": "..."}` are answers; anything else is none (O14)."""
    first = responses[0] if responses else None
    if first is None:
        return None
    given = first.get("id", "") if isinstance(first, dict) else 0
    if not isinstance(given, str | None):
        raise BadGateway("Bad response from provider")
    return given or None
