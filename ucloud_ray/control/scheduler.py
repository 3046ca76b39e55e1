"""Our own queue in front of the cluster (D6): order, reason for waiting, place in the queue.

One queue per product category, ordered by acceptance (SCH-10). Jobs that fit may pass one that does not, unless that
one has waited for long: then nothing behind it is placed until it is (no starvation). The books kept here say what is
free; the cluster confirms a placement for all ranks at once or refuses it (SCH-11). Nothing is queued inside Ray.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from ucloud_ray.control.ledger import Ledger
from ucloud_ray.control.ports import Clock, Cluster, ClusterUnavailable, NoRoomNow, PlacementRequest
from ucloud_ray.domain.events import Event, NoRoom, PlacementGranted
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Job, Machine
from ucloud_ray.domain.products import fits, place_greedily

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often the queues are looked at without being woken: machines come and go."""

STARVATION_AGE = 3_600_000
"""`starvationAgeSeconds` of SCH-10 in milliseconds."""

BACKFILL = 64
"""How many jobs that do not fit are passed over in one round, so that a long queue costs no more than a short one."""


@dataclass(frozen=True, order=True, slots=True)
class Waiting:
    """A job in a queue; the order of the fields is the order of the queue (SCH-10)."""

    since: Millis
    uid: JobUid
    job: Job = field(compare=False)
    incarnation: int = field(compare=False)

    @property
    def category(self) -> str:
        return self.job.spec.machine.product.category


class Scheduler:
    def __init__(self, cluster: Cluster, clock: Clock, post: Callable[[JobUid, Event], None]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._post = post
        self._queues: dict[str, list[Waiting]] = {}
        self._waiting: dict[JobUid, Waiting] = {}
        self._told: set[JobUid] = set()
        self._owed: set[tuple[JobUid, int]] = set()
        """Placements that nobody wants any more and that the cluster still has to take back."""
        self._wake = asyncio.Event()
        self.ledger = Ledger()

    def request(self, job: Job, incarnation: int) -> None:
        """Queue the job; its answer is a `PlacementGranted` with this incarnation. Twice is once."""
        if job.uid in self._waiting or job.uid in self.ledger:
            return
        entry = Waiting(job.accepted_at or job.created_at, job.uid, job, incarnation)
        bisect.insort(self._queues.setdefault(entry.category, []), entry)
        self._waiting[job.uid] = entry
        self._wake.set()

    def withdraw(self, uid: JobUid) -> None:
        """Leave the queue, if it is in one."""
        entry = self._waiting.pop(uid, None)
        if entry is not None:
            self._queues[entry.category].remove(entry)
            self._told.discard(uid)

    def adopt(self, job: Job) -> None:
        """Book a job that holds its placement already, after a restart."""
        self.ledger.book(job.uid, job.spec.machine, tuple(rank.host for rank in job.ranks))

    def released(self, uid: JobUid) -> None:
        """What the job occupied is free again."""
        if self.ledger.cancel(uid):
            self._wake.set()

    def place_in_queue(self, uid: JobUid) -> int | None:
        """1 for the next of its category; None for a job that does not wait for room."""
        entry = self._waiting.get(uid)
        return None if entry is None else 1 + self._queues[entry.category].index(entry)

    def waiting(self) -> dict[str, int]:
        """Category to the number of jobs in its queue."""
        return {category: len(queue) for category, queue in self._queues.items()}

    async def run(self) -> None:
        """Place what fits, for ever. Ends only by cancellation."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except Exception:  # whatever it is: a scheduler that ends would leave every later job waiting
                log.exception("a round of the scheduler failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):  # unlike wait_for it never swallows a cancellation
                    await self._wake.wait()

    async def look(self) -> None:
        """One round over all queues."""
        try:
            self.ledger.nodes = await self._cluster.nodes()
        except ClusterUnavailable as problem:
            log.warning("the cluster does not tell its nodes", problem=str(problem))
            return
        await self._give_back()
        for category in list(self._queues):
            await self._look_at(category)

    async def _look_at(self, category: str) -> None:
        passed = 0
        for entry in list(self._queues[category]):
            if not self._waits(entry) or await self._try(entry) or not self._waits(entry):
                continue
            self._tell_once(entry)
            passed += 1
            if passed >= BACKFILL or self._clock.now() - entry.since > STARVATION_AGE:
                return

    async def _try(self, entry: Waiting) -> bool:
        spec = entry.job.spec
        able = {node.host for node in self.ledger.nodes if spec.backend in node.backends}
        free = {host: size for host, size in self.ledger.free(entry.category).items() if host in able}
        hosts = place_greedily(free, spec.machine, spec.replicas)
        return hosts is not None and await self._place(entry, hosts)

    async def _place(self, entry: Waiting, hosts: tuple[str, ...]) -> bool:
        """Ask the cluster for exactly these machines; whether the entry left the queue."""
        job, spec = entry.job, entry.job.spec
        self.ledger.book(job.uid, spec.machine, hosts)
        try:
            await self._cluster.place(
                PlacementRequest(job.uid, entry.incarnation, spec.machine, spec.backend, spec.replicas, hosts)
            )
        except (NoRoomNow, ClusterUnavailable) as problem:
            log.info("not placed", job=job.id, problem=str(problem))
            self.ledger.cancel(job.uid)
            return False
        if self._waits(entry):
            self.withdraw(job.uid)
            self._post(job.uid, PlacementGranted(entry.incarnation, hosts))
        else:  # stopped while the cluster was asked; its clean-up may have run before there was anything
            self.ledger.cancel(job.uid)
            self._owed.add((job.uid, entry.incarnation))
            await self._give_back()
        return True

    def _waits(self, entry: Waiting) -> bool:
        """Whether this very request is still in the queue; the same job may have left and come back."""
        return self._waiting.get(entry.uid) is entry

    async def _give_back(self) -> None:
        """Tried again in every round until the cluster takes it."""
        for uid, incarnation in list(self._owed):
            try:
                await self._cluster.release(uid, incarnation)
            except ClusterUnavailable as problem:
                log.warning("a placement is not given back yet", uid=uid, problem=str(problem))
            else:
                self._owed.discard((uid, incarnation))

    def _tell_once(self, entry: Waiting) -> None:
        if entry.uid not in self._told:
            self._told.add(entry.uid)
            self._post(entry.uid, NoRoom())


def could_ever_fit(ledger: Ledger, machine: Machine, replicas: int) -> bool:
    """Whether all ranks fit when everything is idle (SCH-14). With no machine known yet nobody can say: yes."""
    capacity = ledger.capacity(machine.product.category)
    return not capacity or fits(capacity, {}, machine, replicas)
