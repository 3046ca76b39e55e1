"""Jobs as operators and followers see them, and a way to wait for a change."""

from __future__ import annotations

import asyncio

from ucloud_ray.control.service import JobView
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Cleaning, Ending, Final, Job, Queued

WATCH_SECONDS = 20.0
"""How long one `watch` waits at most."""


def view_of(job: Job, version: int, told: bool, place_in_queue: int | None, why: str) -> JobView:
    """`why`: the reason for waiting, empty for a job that does not wait for room."""
    return JobView(
        uid=job.uid,
        id=job.id,
        created_at=job.created_at,
        version=version,
        state=job.told,
        phase=job.phase.kind,
        told=told,
        owner=job.spec.owner.created_by,
        project=job.spec.owner.project,
        application=f"{job.spec.application_name}@{job.spec.application_version}",
        product=job.spec.machine.product,
        replicas=job.spec.replicas,
        hosts=tuple(rank.host for rank in job.ranks),
        status=_status(job, why),
        place_in_queue=place_in_queue,
    )


def _status(job: Job, why: str) -> str:
    match job.phase:
        case Final(verdict=verdict) | Ending(verdict=verdict) | Cleaning(verdict=verdict):
            return verdict.status
        case Queued():
            return why
        case _:
            return ""


class Versions:
    """Counts the changes of each job and wakes who waits for the next one.

    A job that is over and told keeps its last number only while somebody looks at it: versions are for waiting, not for
    storing.
    """

    def __init__(self) -> None:
        self._numbers: dict[JobUid, int] = {}
        self._waiting: dict[JobUid, list[asyncio.Future[None]]] = {}

    def number(self, uid: JobUid) -> int:
        return self._numbers.get(uid, 0)

    def bump(self, uid: JobUid, *, last: bool = False) -> None:
        """Something about the job changed; `last`: nothing will any more."""
        self._numbers[uid] = self._numbers.get(uid, 0) + 1
        if last:
            del self._numbers[uid]
        for waiting in self._waiting.pop(uid, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def changed(self, uid: JobUid, seen: int) -> None:
        """Wait until the job's number is another than `seen`, at most 20 s."""
        if self.number(uid) != seen:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(uid, []).append(waiting)
        await asyncio.wait([waiting], timeout=WATCH_SECONDS)
        waiters = self._waiting.get(uid)
        if waiters is not None and waiting in waiters:
            waiters.remove(waiting)
            if not waiters:
                del self._waiting[uid]
