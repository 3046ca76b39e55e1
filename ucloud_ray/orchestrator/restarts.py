"""Starts jobs with `restartOnExit` again (LC-25, LC-26). The orchestrator decides when; `update_rules` says how long
to wait.

A job that waits has `restart_at` on disk. When that is over, the order is noted on disk and then given: `create` for
the same job, which starts the next life of one that has ended and changes nothing for one that lives (job-semantics
11.4). The provider's next update about the job's state ends the waiting, so an order whose answer was lost is given
again only to a job that nothing was heard of, and not before `RETRY`. One order per job is under way at a time;
`terminate` waits for it.

Never started again: a job whose wallet is empty, one that the provider refuses, and of course one that was terminated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import orjson

from ucloud_ray.db import Database
from ucloud_ray.db.errors import StoreError
from ucloud_ray.orchestrator import job_rows, wallet_rows
from ucloud_ray.orchestrator.control import Control
from ucloud_ray.orchestrator.errors import ApiError, NotFound, ProviderRefused
from ucloud_ray.orchestrator.job_record import JobRecord
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.provider_client import AGAIN, ProviderClient
from ucloud_ray.orchestrator.update_rules import SUSPENDED, RestartPace
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.wire.updates import JobUpdate, JobUpdateItem

RETRY_MILLIS = 10_000
"""After an order that was not answered well."""
CONFIRM_MILLIS = 120_000
"""After one that was: so long may the provider's update about it take. It has one at once and repeats it every
minute."""
AT_ONCE = 16
LONGEST_SLEEP_SECONDS = 30.0
AFTER_TROUBLE_SECONDS = 5.0

CANCELLED = "Your job has been cancelled!"
NO_CREDITS = "Your job has been terminated (No more credits)"
_PASSING = AGAIN | {401, 408, 429}
"""Refusals that say nothing about the job."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """One lock per job while somebody holds or awaits it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Restarts:
    def __init__(
        self,
        database: Database,
        control: Control,
        products: ProductBook,
        provider: ProviderClient,
        view: JobView,
        pace: RestartPace,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._control = control
        self._products = products
        self._provider = provider
        self._view = view
        self._longest_wait = max(pace.longest, CONFIRM_MILLIS)
        self._now = now
        self._held: dict[int, _Held] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            self._control.restart_waits.clear()
            try:
                pause = await self._round()
            except StoreError as error:
                _log.warning("jobs that wait for a restart cannot be looked at now: %s", error)
                pause = AFTER_TROUBLE_SECONDS
            except Exception:  # a fault of ours: the next round must not be lost with this one
                _log.exception("jobs that wait for a restart could not be started")
                pause = AFTER_TROUBLE_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._control.restart_waits.wait()

    async def cancel(self, record: JobRecord, username: str) -> bool:
        """The user wants no further life. False when the job does not wait for one. Raises `ApiError`; then it waits
        on."""
        async with self._hold(record.id):
            current = await self._waiting(record.id)
            if current is None:
                return False
            if current.facts.restart_ordered:  # it may have begun, and its update be on the way
                await self._provider.bulk("jobs/terminate", [self._view.for_provider(current)], username)
            await self._end(current, "SUCCESS", CANCELLED)
            return True

    async def hasten(self, record: JobRecord) -> bool:
        """The user wants the next life now. False when the job does not wait for one."""
        now = self._now()
        hastened = await self._database.write(lambda connection: job_rows.hasten_restart(connection, record.id, now))
        self._control.restart_waits.set()
        return hastened

    async def _round(self) -> float:
        """Seconds until the next one is due."""
        waiting = await self._database.read(lambda connection: job_rows.waiting_for_restart(connection, AT_ONCE))
        now = self._now()
        due = [job_id for job_id, at in waiting if self._is_due(at, now)]
        if due:
            await asyncio.gather(*(self._start(job_id) for job_id in due))
            return 0.0
        return min((waiting[0][1] - now) / 1000, LONGEST_SLEEP_SECONDS) if waiting else LONGEST_SLEEP_SECONDS

    async def _start(self, job_id: int) -> None:
        async with self._hold(job_id):
            record = await self._waiting(job_id)
            if record is None or not self._is_due(record.facts.restart_at or 0, self._now()):
                return
            if not await self._can_pay(record):
                await self._end(record, "SUCCESS", NO_CREDITS)
            elif await self._note(job_id, RETRY_MILLIS):
                await self._order(record)

    def _is_due(self, at: int, now: int) -> bool:
        """Nothing waits for longer than it may: then the clock was set back, and its user must not wait for that."""
        return at <= now or at > now + self._longest_wait

    async def _order(self, record: JobRecord) -> None:
        try:
            await self._provider.bulk("jobs", [self._view.for_provider(as_created(record))], record.created_by)
        except ApiError as error:
            _log.info("job %s was not started again: %s", record.id, error.why)
            if isinstance(error, ProviderRefused) and error.status < 500 and error.status not in _PASSING:
                await self._refused(record, error)
        else:
            await self._note(record.id, CONFIRM_MILLIS)

    async def _refused(self, record: JobRecord, error: ProviderRefused) -> None:
        if error.status == 402:
            await self._end(record, "SUCCESS", NO_CREDITS)
        else:
            await self._end(record, "FAILURE", f"Your job could not be started again: {error.why}")

    async def _end(self, record: JobRecord, state: str, status: str) -> None:
        # Unless the provider has told something else meanwhile.
        update = JobUpdate(state=state, status=status, expected_state=SUSPENDED, allow_restart=False)
        with contextlib.suppress(NotFound):  # deleted meanwhile
            await self._control.update(record.provider, [JobUpdateItem(id=str(record.id), update=update)])

    async def _note(self, job_id: int, pause: int) -> bool:
        """The order is out; look again after the pause. False when the job does not wait any more."""
        at = self._now() + pause
        return await self._database.write(lambda connection: job_rows.note_restart_order(connection, job_id, at))

    async def _waiting(self, job_id: int) -> JobRecord | None:
        record = await self._database.read(lambda connection: job_rows.find(connection, job_id))
        return record if record is not None and record.facts.restart_at is not None else None

    async def _can_pay(self, record: JobRecord) -> bool:
        if not self._products.costs(record.product_key):
            return True
        owner = wallet_rows.owner_of(record.created_by, record.project)
        category, now = (record.provider, record.product_category), self._now()
        return await self._database.read(lambda connection: wallet_rows.can_pay(connection, owner, category, now))

    @asynccontextmanager
    async def _hold(self, job_id: int) -> AsyncIterator[None]:
        held = self._held.setdefault(job_id, _Held())
        held.users += 1
        try:
            async with held.lock:
                yield
        finally:
            held.users -= 1
            if held.users == 0:
                del self._held[job_id]


def as_created(record: JobRecord) -> JobRecord:
    """As the provider was given it the first time: it knows a repeated `create` by that (O3). What the user renamed
    or an update changed since is left out."""
    title = orjson.loads(record.specification).get("name")
    return replace(record, title=title, facts=replace(record.facts, resources=None))
