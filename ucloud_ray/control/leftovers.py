"""Tasks on the machines that belong to no job any more (ENV-59, D4): found, left alone for a while, destroyed.

They come about when a machine was given up and returns with its workloads still running, or when a job's record was
lost. The supervisor runs this beside the scheduler; an operator may look, and have them collected at once.

A task is a job's own if that job is live and this is its present attempt. Only then: a task is started after its job
was stored, so one whose job is not live when it has been listed can only be on its way out, or be left over. Tasks of
another provider on the same machine are never even listed.

    machine appears ─▶ list ─▶ its GPUs may be given, but for those that leftovers use ─▶ … grace … ─▶ destroy
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from runtimes.errors import DriverError
from runtimes.types import FoundTask, TaskId
from ucloud_ray.control.ports import Cluster, ClusterUnavailable
from ucloud_ray.control.scheduler import Scheduler
from ucloud_ray.control.task_spec import LABEL_GPUS, LABEL_JOB
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend, Job, Queued

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
SEARCH_SECONDS = 60.0
"""Between two searches of a machine on which nothing was left over."""

UNANSWERED = (ClusterUnavailable, DriverError)

Key = tuple[str, Backend, TaskId]


@dataclass(frozen=True, slots=True)
class Leftover:
    host: str
    backend: Backend
    id: TaskId
    job_id: str
    gpus: tuple[str, ...]
    seen_for: float
    """Seconds since it was first found."""


class Leftovers:
    def __init__(
        self,
        cluster: Cluster,
        scheduler: Scheduler,
        live: Callable[[JobUid], Job | None],
        provider_id: str,
        grace: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`grace`: `orphanGraceSeconds`, from when a leftover was first found; the machines' clocks play no part."""
        self._cluster = cluster
        self._scheduler = scheduler
        self._live = live
        self._provider_id = provider_id
        self._grace = grace
        self._now = now
        self._first_seen: dict[Key, float] = {}
        self._searched: dict[str, float] = {}

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            try:
                await self.look()
            except Exception:  # a fault of ours here must not keep GPUs from being given for ever
                log.exception("a search for leftovers failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Search the machines whose turn it is, and destroy what has been left over for the grace."""
        for host in self._due():
            for leftover in await self._search(host) or ():
                if leftover.seen_for >= self._grace:
                    await self._destroy(leftover)

    async def found(self) -> list[Leftover]:
        """Everything that is left over at this moment, on the machines that answer."""
        hosts = [node.host for node in self._scheduler.ledger.nodes if node.alive]
        found = await asyncio.gather(*(self._search(host) for host in hosts))
        return [leftover for some in found for leftover in some or ()]

    async def collect(self) -> list[Leftover]:
        """Destroy what is left over without waiting for the grace; what was destroyed."""
        return [leftover for leftover in await self.found() if await self._destroy(leftover)]

    # ------------------------------------------------------------------------------------------------ internal

    def _due(self) -> list[str]:
        """New machines and those with leftovers at once, others from time to time."""
        ledger, now = self._scheduler.ledger, self._now()
        waiting = {host for host, _, _ in self._first_seen}
        often = waiting | set(ledger.unsearched)
        alive = [node.host for node in ledger.nodes if node.alive]
        return [host for host in alive if host in often or now - self._searched.get(host, -1e9) >= SEARCH_SECONDS]

    async def _search(self, host: str) -> list[Leftover] | None:
        """None if the machine does not tell."""
        try:
            tasks = await self._cluster.list_tasks(host, self._provider_id)
        except UNANSWERED as problem:
            log.info("a machine does not list its tasks", host=host, problem=str(problem))
            return None
        left = [self._leftover(host, backend, task) for backend, task in tasks if not self._belongs(task)]
        self._remember(host, left)
        return left

    def _remember(self, host: str, left: Sequence[Leftover]) -> None:
        keys = {(leftover.host, leftover.backend, leftover.id) for leftover in left}
        for key in [key for key in self._first_seen if key[0] == host and key not in keys]:
            del self._first_seen[key]
        self._searched[host] = self._now()
        self._scheduler.ledger.searched(host, (gpu for leftover in left for gpu in leftover.gpus))
        self._scheduler.look_again()

    def _leftover(self, host: str, backend: Backend, task: FoundTask) -> Leftover:
        now = self._now()
        first = self._first_seen.setdefault((host, backend, task.id), now)
        gpus = tuple(filter(None, task.labels.get(LABEL_GPUS, "").split(",")))
        return Leftover(host, backend, task.id, task.labels.get(LABEL_JOB, ""), gpus, now - first)

    def _belongs(self, task: FoundTask) -> bool:
        uid, _, number = task.id.incarnation.rpartition(".")
        job = self._live(JobUid(uid))
        if job is None or number != str(job.incarnation):
            return False
        return not isinstance(job.phase, Queued) or bool(job.phase.ranks)

    async def _destroy(self, leftover: Leftover) -> bool:
        log.warning("destroying a task that belongs to no job", host=leftover.host, task=leftover.id.name)
        try:
            await self._cluster.destroy(leftover.host, leftover.backend, leftover.id)
        except UNANSWERED as problem:
            log.warning("a leftover stays for now", host=leftover.host, task=leftover.id.name, problem=str(problem))
            return False
        await self._search(leftover.host)
        return True
