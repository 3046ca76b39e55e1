"""Looks at intervals at what running jobs owe, and whether charges have waited for too long (ACC-2, ACC-22).

The supervisor runs it. What is due is decided by the life cycle, job by job, and sent by the charger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ucloud_ray.control.charger import Charger
from ucloud_ray.control.engine import Engine
from ucloud_ray.control.ports import Clock, JobStore
from ucloud_ray.control.scheduler import Scheduler
from ucloud_ray.domain import charging, texts
from ucloud_ray.domain.events import ChargeDue
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Job

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Jobs that are charged together; others may have their turn between two such groups."""
BETWEEN_SECONDS = 0.05
FIRST_SECONDS = 5.0
"""Until the first look: by then the charger has sent what waited, if the Core is there."""


class ChargingCycle:
    def __init__(
        self,
        store: JobStore,
        clock: Clock,
        engine: Engine,
        scheduler: Scheduler,
        charger: Charger,
        interval: float,
        max_uncharged: float,
    ) -> None:
        """`interval` and `max_uncharged` in seconds."""
        self._store = store
        self._clock = clock
        self._engine = engine
        self._scheduler = scheduler
        self._charger = charger
        self._interval = interval
        self._max_uncharged = max_uncharged
        self._expected: set[JobUid] = set()
        """Jobs that were told that a charge is due, and have not decided yet."""

    def note(self, job: Job) -> None:
        """Called once a change of a job is on disk, and with it perhaps something to be paid for."""
        if job.uid in self._expected or (job.final and job.spec.machine.tariff is not None):
            self._expected.discard(job.uid)
            self._charger.ring()

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        pause = min(self._interval, FIRST_SECONDS)
        while True:
            await asyncio.sleep(pause)
            pause = self._interval
            try:
                await self.look()
            except Exception as problem:  # a store that is away: what runs is charged at the next look
                log.warning("charging has to wait", problem=str(problem))

    async def look(self) -> None:
        now = self._clock.now()
        self._expected.clear()
        owing = [job for job in self._engine.jobs() if charging.due(job, now)]
        for start in range(0, len(owing), AT_ONCE):
            self._charge(owing[start : start + AT_ONCE])
            await asyncio.sleep(BETWEEN_SECONDS)
        await self.hold_if_overdue()

    def _charge(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._expected.add(job.uid)
            self._engine.post(job.uid, ChargeDue())

    async def hold_if_overdue(self) -> None:
        """ACC-22: what runs goes on, what waits is not started."""
        waiting, oldest = await self._store.waiting_charges()
        late = oldest is not None and self._clock.now() - oldest > self._max_uncharged * 1000
        self._scheduler.hold(texts.UNCHARGED if late else "")
        if late:
            log.error("no jobs are started: charges have waited for the Core for too long", waiting=waiting)
