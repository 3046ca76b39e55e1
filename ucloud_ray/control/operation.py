"""What the operator of this provider may look at and order: the queue, maintenance of machines, leftovers.

Called through the supervisor actor by the operator's API. Not part of what UCloud/Core may ask.
"""

from __future__ import annotations

from typing import Any

from ucloud_ray.control.leftovers import Leftover
from ucloud_ray.control.service import QueueEntry
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.control.waiting_line import Waiting
from ucloud_ray.control.waiting_news import Reasons


class Operation:
    """Implements what `service.OperatorService` adds to `JobService`, for one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def queue(self) -> list[QueueEntry]:
        reasons: Reasons = {}
        return [self._entry(entry, reasons) for entry in self._supervisor.scheduler.in_order()]

    async def watched(self) -> dict[str, int]:
        ranks = sum(rank.started and not rank.over for job in self._supervisor.engine.jobs() for rank in job.ranks)
        return {"ranks": ranks, "watched": await self._supervisor.parts.cluster.waiting()}

    async def drain(self, host: str, message: str) -> int:
        return await self._supervisor.drains.drain(host, message)

    async def undrain(self, host: str) -> int:
        return await self._supervisor.drains.undrain(host)

    async def leftovers(self, collect: bool) -> list[dict[str, Any]]:
        found = self._supervisor.leftovers
        return [_plain(leftover) for leftover in await (found.collect() if collect else found.found())]

    def _entry(self, entry: Waiting, reasons: Reasons) -> QueueEntry:
        scheduler, spec = self._supervisor.scheduler, entry.job.spec
        return QueueEntry(
            id=entry.job.id,
            category=entry.category,
            place=scheduler.place_in_queue(entry.uid) or 0,
            owner=spec.owner.created_by,
            product=spec.machine.product.id,
            replicas=spec.replicas,
            since=entry.since,
            why=scheduler.why(entry.uid, reasons),
        )


def _plain(leftover: Leftover) -> dict[str, Any]:
    return {
        "host": leftover.host,
        "backend": leftover.backend.value,
        "task": leftover.id.name,
        "job": leftover.job_id,
        "gpus": list(leftover.gpus),
        "seenForSeconds": round(leftover.seen_for, 1),
    }
