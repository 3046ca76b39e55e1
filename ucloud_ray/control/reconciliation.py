"""Compares, from time to time and unasked, what the Core has of our jobs with what we have (REC-15).

The current Core never calls `verify`. The composition root runs this beside the supervisor.

| The Core has it      | We have it | Then                                                                             |
|----------------------|------------|----------------------------------------------------------------------------------|
| active               | no         | it is told that the job is gone, unless it is so young that its `create` may be  |
|                      |            | on its way, or it comes within seconds (REC-12, REC-14)                          |
| active               | otherwise  | it is told our state once more (REC-13)                                          |
| not among the active | live       | asked for by name; denied three times in a row: stopped and forgotten (REC-9)    |

A Core that goes away in the middle decides nothing: the whole comparison is made anew. What has to be told takes the
way of `verify` (`Verification`), what has to be forgotten that of a denied update (`Supervisor.forget`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ucloud_ray.control.ports import Believed, CoreJobs, CoreSilent
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.control.verification import Verification
from ucloud_ray.domain import requests as rules
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import Job

log = structlog.get_logger(__name__)

CONFIRM_SECONDS = 60.0
"""Between two questions about a job that the Core denied, and at most after a comparison that came to nothing: in the
beginning it is repeated sooner, because Core and provider are often started together."""

DENIALS = 3
"""Confirmations in a row (REC-9)."""

OLD_ENOUGH = 300_000
"""Milliseconds since we accepted a job before its absence at the Core means anything (REC-9)."""

TOO_YOUNG = 60_000
"""Milliseconds since its creation in which an unknown job may still be on its way to us (REC-14)."""

ON_ITS_WAY_SECONDS = 15.0
"""How long a job must stay unknown to us. Its time of creation is by the Core's clock, which need not agree with ours;
the Core gives up a `create` well before."""


class Reconciliation:
    def __init__(
        self,
        supervisor: Supervisor,
        verification: Verification,
        core: CoreJobs,
        every: float,
        on_its_way: float = ON_ITS_WAY_SECONDS,
    ) -> None:
        """`every`: seconds between two comparisons (`policy.reconcileMinutes`)."""
        self._supervisor = supervisor
        self._engine = supervisor.engine
        self._clock = supervisor.parts.clock
        self._verification = verification
        self._core = core
        self._every = every
        self._on_its_way = on_its_way
        self._denied: dict[JobUid, int] = {}
        """Live jobs that the Core does not list, and how often in a row it has denied them."""

    async def run(self) -> None:
        """At once and then for ever; ends only by cancellation. What is denied is asked for more often."""
        await self._supervisor.ready.wait()
        loop = asyncio.get_running_loop()
        compare_at, failures = loop.time(), 0
        while True:
            if loop.time() >= compare_at:
                failures = 0 if await self._try_compare() else failures + 1
                compare_at = loop.time() + (min(2.0**failures, CONFIRM_SECONDS) if failures else self._every)
            else:
                await self.ask_again()
            next_look = min(compare_at, loop.time() + CONFIRM_SECONDS) if self._denied else compare_at
            await asyncio.sleep(max(0.0, next_look - loop.time()))

    async def _try_compare(self) -> bool:
        try:
            await self.compare()
        except CoreSilent as problem:
            log.info("jobs are not compared with UCloud/Core yet", problem=str(problem))
            return False
        except Exception:  # the store, or a fault of ours: the next comparison must not be lost with this one
            log.exception("jobs could not be compared with UCloud/Core")
            return False
        return True

    async def compare(self) -> None:
        """Once, both ways. Raises `CoreSilent`, and what the store raises."""
        ours = self._engine.jobs()
        listed = await self._core.active()
        strange = []
        for believed in listed:
            if self._is_ours(believed.ref):
                await self._correct(believed)
            elif self._is_old(believed.ref):
                strange.append(believed)
        await self._expect(strange)
        known = {believed.ref for believed in listed}
        self._doubt([job for job in ours if _ref(job) not in known and self._counts(job)])
        await self.ask_again()

    async def _expect(self, strange: Sequence[Believed]) -> None:
        """Whoever has not come meanwhile will not come any more; what came agrees with the Core as it is."""
        if strange:
            await asyncio.sleep(self._on_its_way)
        for believed in strange:
            if not self._is_ours(believed.ref):
                await self._correct(believed)

    async def _correct(self, believed: Believed) -> None:
        ref = believed.ref
        if believed.state is not None and (self._is_ours(ref) or self._is_old(ref)):
            await self._verification.compare(ref, believed.state)

    def _is_ours(self, ref: JobRef) -> bool:
        ours = self._engine.newest(ref.id)
        return ours is not None and _ref(ours) == ref

    def _is_old(self, ref: JobRef) -> bool:
        return ref.created_at is not None and self._clock.now() - ref.created_at >= TOO_YOUNG

    def _doubt(self, missing: Sequence[Job]) -> None:
        """Denials are kept while a job stays missing, so that they are in a row."""
        self._denied = {job.uid: self._denied.get(job.uid, 0) for job in missing}

    def _counts(self, job: Job) -> bool:
        old = job.accepted_at is not None and self._clock.now() - job.accepted_at >= OLD_ENOUGH
        return old and not rules.is_forgotten(job)

    async def ask_again(self) -> None:
        """One question about each job that the Core did not list. No answer counts neither way (D4)."""
        for uid in list(self._denied):
            job = self._engine.live(uid)
            if job is None or rules.is_forgotten(job):
                del self._denied[uid]
                continue
            try:
                believed = await self._core.find(_ref(job))
            except CoreSilent as problem:
                log.info("no word about a job that UCloud/Core did not list", job=job.id, problem=str(problem))
                return
            await self._answered(job, believed)

    async def _answered(self, job: Job, believed: Believed | None) -> None:
        if believed is not None:
            del self._denied[job.uid]
            await self._correct(believed)
            return
        self._denied[job.uid] += 1
        log.warning("UCloud/Core does not know a job of ours", job=job.id, times=self._denied[job.uid])
        if self._denied[job.uid] >= DENIALS:
            del self._denied[job.uid]
            self._supervisor.forget(job.uid)


def _ref(job: Job) -> JobRef:
    return JobRef(job.id, job.created_at)
