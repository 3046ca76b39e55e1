"""Compares jobs with what the Core believes of them and corrects it by updates (REC-12 to REC-14).

Called by `requests` for every `verify`. An update names a job by its id alone, so it is first made sure that the Core
still means by the id what it asks about (O3).
"""

from __future__ import annotations

import structlog

from ucloud_ray.control.admission import Admission
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.domain import requests as rules
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.events import Doubted
from ucloud_ray.domain.ids import JobId, JobRef
from ucloud_ray.domain.job import Job, JobState

log = structlog.get_logger(__name__)


class Verification:
    def __init__(self, supervisor: Supervisor, admission: Admission) -> None:
        self._engine = supervisor.engine
        self._parts = supervisor.parts
        self._admission = admission

    async def compare(self, ref: JobRef, believed: JobState) -> None:
        """Raises what the store raises. Afterwards the correction is on disk, if one was needed."""
        if not rules.is_possible_id(ref.id):
            log.info("asked about a job that cannot exist", job=texts.one_line(ref.id))
        elif not self._admission.in_hands(ref.id):  # REC-14
            async with self._admission.hold(ref.id):
                await self._correct(ref, believed)

    async def _correct(self, ref: JobRef, believed: JobState) -> None:
        job = self._engine.newest(ref.id) or await self._parts.store.find(JobRef(ref.id, None))
        if job is None or rules.is_forgotten(job) or _is_newer(ref, job):
            await self._tell_unknown(ref.id, believed)
        elif ref.created_at in (None, job.created_at) and job.told is not believed:
            await self._tell_again(job)

    async def _tell_again(self, job: Job) -> None:
        if self._parts.updates.waits(job.uid):
            return  # the Core is about to hear it
        if job.final:
            await self._admission.repeat_end(job)
        else:
            await self._engine.settle(job.uid, Doubted(even_if_same=False))

    async def _tell_unknown(self, id: JobId, believed: JobState) -> None:
        """Once, however often it is asked before the Core has heard. What is over or put aside there is let be: a final
        state would be replaced by ours."""
        if believed.final or believed is JobState.SUSPENDED or self._parts.updates.waits_for(id):
            return
        gone = Announce(JobState.FAILURE, texts.UNKNOWN_JOB, expected_different_state=True)
        self._parts.updates.submit([await self._parts.store.enqueue(id, gone, self._parts.clock.now())])


def _is_newer(ref: JobRef, job: Job) -> bool:
    """Whether the id went to a job that never reached us. An older one than ours is the past: nothing is said of it."""
    return ref.created_at is not None and ref.created_at > job.created_at
