"""What the provider may ask of the orchestrator about its jobs (control-api). One transaction per request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import grant_rows, job_rows, label_rows
from ucloud_ray.orchestrator.errors import BadRequest, NotFound
from ucloud_ray.orchestrator.hub import Hub, JobChanged
from ucloud_ray.orchestrator.items import ExistenceItem, LabelsItem
from ucloud_ray.orchestrator.job_query import LARGEST_PAGE, Filters, Flags, Page
from ucloud_ray.orchestrator.job_reading import JobReading
from ucloud_ray.orchestrator.job_record import JobRecord, parse_id
from ucloud_ray.orchestrator.job_rules import check_labels
from ucloud_ray.orchestrator.update_rules import Applied, RestartPace, apply_updates
from ucloud_ray.wire.updates import JobUpdate, JobUpdateItem

MAX_MILLIS = 10**15
MAX_EXISTENCE_ITEMS = 1_000


class Control:
    def __init__(
        self, database: Database, reading: JobReading, hub: Hub, pace: RestartPace, now: Callable[[], int]
    ) -> None:
        self._database = database
        self._reading = reading
        self._hub = hub
        self._pace = pace
        self._now = now
        self.restart_waits = asyncio.Event()
        """Set whenever a job has begun to wait for its next start."""

    async def update(self, provider: str, items: Sequence[JobUpdateItem]) -> None:
        """All ids are checked before anything is applied. Raises `NotFound` that names the first bad one."""
        by_job = _by_job(items)
        if not by_job:
            return
        now = self._now()

        def work(connection: Connection) -> dict[int, Applied]:
            facts = job_rows.facts_of_jobs(connection, provider, by_job)
            _require_all(by_job, facts)
            applied = {
                number: apply_updates(facts[number], updates, now, self._pace) for number, updates in by_job.items()
            }
            job_rows.save_applied(connection, applied)
            return applied

        for number, applied in (await self._database.write(work)).items():
            if applied.recorded:
                self._hub.publish(number, JobChanged(applied.facts, applied.recorded))
            if applied.facts.restart_at is not None:
                self.restart_waits.set()

    async def update_labels(self, provider: str, items: Sequence[LabelsItem]) -> None:
        """Replaces all labels of each job. Stops at the first error; earlier items stay applied (control-api 7.2)."""
        for item in items:
            check_labels(item.labels or {})
            await self._database.write(partial(_replace_labels, provider=provider, item=item))

    async def retrieve(self, provider: str, job_id: str, flags: Flags, filters: Filters) -> dict[str, Any]:
        """Application, parameters and updates are always included, as the current Core does."""
        shown = replace(flags, application=True, parameters=True, updates=True)

        def work(connection: Connection) -> tuple[JobRecord, list[bytes], dict[str, list[str]]]:
            number = parse_id(job_id)
            record = None if number is None else job_rows.find(connection, number, filters)
            if record is None or record.provider != provider:
                raise _not_found(job_id)
            updates = job_rows.updates_of(connection, [record.id])
            grants = grant_rows.grants_of(connection, [record.id])
            return record, updates.get(record.id, []), grants.get(record.id, {})

        record, updates, grants = await self._database.read(work)
        return self._reading.for_provider(record, shown, updates, grants)

    async def browse(self, provider: str, flags: Flags, filters: Filters, page: Page) -> dict[str, Any]:
        """Newest first. Who asks for ids of its own gets up to 1,000 at once (control-api 5.2)."""
        if filters.provider_ids is not None:
            page = replace(page, size=LARGEST_PAGE)
        return await self._reading.browse_provider(provider, flags, filters, page)

    async def exist(self, provider: str, items: Sequence[ExistenceItem]) -> list[bool]:
        if len(items) > MAX_EXISTENCE_ITEMS:
            raise BadRequest(f"items: must hold at most {MAX_EXISTENCE_ITEMS} elements")
        numbers = [parse_id(item.id) if item.type == "job" else None for item in items]
        wanted = {number for number in numbers if number is not None}
        facts = await self._database.read(lambda connection: job_rows.facts_of_jobs(connection, provider, wanted))
        return [number in facts for number in numbers]


def _replace_labels(connection: Connection, provider: str, item: LabelsItem) -> None:
    number = parse_id(item.id)
    if number is None or not job_rows.facts_of_jobs(connection, provider, [number]):
        raise _not_found(item.id)
    label_rows.replace_labels(connection, number, item.labels or {})


def _by_job(items: Iterable[JobUpdateItem]) -> dict[int, list[JobUpdate]]:
    """Job to its updates, in the order of the list."""
    by_job: dict[int, list[JobUpdate]] = {}
    for index, item in enumerate(items):
        number = parse_id(item.id)
        if number is None:
            raise _not_found(item.id)
        _check_update(item.update, f"items[{index}].update")
        by_job.setdefault(number, []).append(item.update)
    return by_job


def _check_update(update: JobUpdate, where: str) -> None:
    allocation = update.new_time_allocation
    if allocation is not None and not 0 <= allocation <= MAX_MILLIS:
        raise BadRequest(f"{where}.newTimeAllocation: must be the new total in milliseconds")
    for text in (update.state, update.status, update.output_folder):
        if text is not None and "\0" in text:
            raise BadRequest(f"{where}: texts must not contain NUL characters")


def _require_all(wanted: Iterable[int], found: Iterable[int]) -> None:
    known = set(found)
    for number in wanted:
        if number not in known:
            raise _not_found(str(number))


def _not_found(job_id: str) -> NotFound:
    return NotFound(f"Not found or permission denied ({job_id})")
