"""Our own queue in front of the cluster (D6): order, reason for waiting, place in the queue.

One queue per product category, ordered by priority and submission (SCH-10). Jobs that fit may pass one that does not; a
job that has waited for long has room kept for it (`domain.reserving`). The books kept here say what is free; the
cluster confirms a placement for all ranks at once or refuses it (SCH-11). Nothing is queued inside Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from ucloud_ray.control.addresses import Addresses, NoAddressLeft
from ucloud_ray.control.keeping import Keeping
from ucloud_ray.control.ledger import Devices, Ledger
from ucloud_ray.control.ports import Clock, Cluster, ClusterUnavailable, Node, NoRoomNow, PlacementRequest
from ucloud_ray.control.waiting_line import Shape, Waiting, WaitingLine
from ucloud_ray.control.waiting_news import Reasons, WaitingNews
from ucloud_ray.domain.events import Event, NoRoom, Noted, PlacementGranted
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend, Job, Machine
from ucloud_ray.domain.products import Size, fits, place_greedily

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often the queues are looked at without being woken: machines come and go."""

STARVATION_AGE = 3_600_000
"""`starvationAgeSeconds` of SCH-10 in milliseconds."""


class Scheduler:
    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        post: Callable[[JobUid, Event], None],
        addresses: Addresses,
        starvation_age: int = STARVATION_AGE,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._post = post
        self._lines: dict[str, WaitingLine] = {}
        self._waiting: dict[JobUid, Waiting] = {}
        self._pausing: dict[JobUid, Waiting] = {}
        """After a start that failed (SCH-11); not in a line until their pause is over."""
        self._untold: set[JobUid] = set()
        """Those that were not told yet that there is no room for them."""
        self._owed: set[tuple[JobUid, int]] = set()
        """Placements that nobody wants any more and that the cluster still has to take back."""
        self._wake = asyncio.Event()
        self.addresses = addresses
        self.ledger = Ledger(addresses)
        self._keeping = Keeping(self.ledger, clock, starvation_age)
        self._held = ""
        """Why nobody is started at the moment."""
        self.news = WaitingNews(self.ledger, self._keeping, post)

    # -------------------------------------------------------------------------------------------------- orders

    def request(self, job: Job, incarnation: int) -> None:
        """Queue the job; its answer is a `PlacementGranted` with this incarnation. Twice is once."""
        if job.uid in self._waiting or job.uid in self.ledger:
            return
        entry = Waiting.of(job, incarnation)
        self._waiting[job.uid] = entry
        self._untold.add(job.uid)
        if entry.not_before > self._clock.now():
            self._pausing[job.uid] = entry
        else:
            self._line(entry.category).add(entry)
        self._wake.set()

    def withdraw(self, uid: JobUid) -> None:
        """Leave the queue, if it is in one."""
        entry = self._waiting.pop(uid, None)
        if entry is None:
            return
        if self._pausing.pop(uid, None) is None:
            self._line(entry.category).remove(entry)
        self._untold.discard(uid)
        self._keeping.forget(entry)
        self.news.forget(uid)

    def adopt(self, job: Job) -> None:
        """Book a job that holds its placement already, after a restart."""
        ranks = job.ranks
        self.ledger.book(
            job.uid, job.spec.machine, tuple(rank.host for rank in ranks), tuple(rank.gpus for rank in ranks)
        )

    def released(self, uid: JobUid) -> None:
        """What the job occupied is free again."""
        if self._unbook(uid):
            self._wake.set()

    def hold(self, why: str) -> None:
        """Start nobody from now on, for this reason, which those who wait are told; empty: go on."""
        if why != self._held:
            self._held = why
            self._untold.update(self._waiting)
            self._wake.set()

    def look_again(self) -> None:
        """Something about the machines has changed."""
        self._wake.set()

    # -------------------------------------------------------------------------------------------------- reading

    def place_in_queue(self, uid: JobUid) -> int | None:
        """1 for the next of its category; None for a job that does not wait for room."""
        entry = self._waiting.get(uid)
        return None if entry is None else self._line(entry.category).place(entry)

    def why(self, uid: JobUid, reasons: Reasons | None = None) -> str:
        """Why it waits, in words; empty for a job that does not. `reasons`: shared by questions of one moment."""
        entry = self._waiting.get(uid)
        if entry is None:
            return ""
        if self._held:
            return self._held
        if uid in self._pausing:
            return "Waiting to be started again after an attempt that failed"
        return self.news.line(self._line(entry.category).place(entry), entry, {} if reasons is None else reasons)

    def in_order(self) -> list[Waiting]:
        """Everybody who waits, each category in its order."""
        return sorted(self._waiting.values(), key=lambda entry: (entry.category, entry))

    def waiting(self) -> dict[str, int]:
        """Category to the number of jobs in its queue."""
        lengths = {category: len(line) for category, line in self._lines.items()}
        for entry in self._pausing.values():
            lengths[entry.category] = lengths.get(entry.category, 0) + 1
        return lengths

    # --------------------------------------------------------------------------------------------------- rounds

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
            await self.addresses.learn(self.ledger.nodes)
        except ClusterUnavailable as problem:
            log.warning("the cluster does not tell its nodes", problem=str(problem))
            return
        await self._give_back()
        self._end_pauses()
        untold = sorted(self._untold)
        for line in list(self._lines.values()) if not self._held else ():
            await self._look_at(line)
        self._tell(untold)

    async def _look_at(self, line: WaitingLine) -> None:
        """The starving first, then everybody in order; of jobs that want the same only the first that does not fit."""
        for entry in self._keeping.starving(line):
            if self._waits(entry) and not await self._try(entry) and self._waits(entry):
                self._keeping.keep(entry)
        passed: set[Shape] = set()
        while (first := line.first(without=passed)) is not None:
            if not await self._try(first) and self._waits(first):
                passed.add(first.shape)

    async def _try(self, entry: Waiting) -> bool:
        spec = entry.job.spec
        free = self._keeping.open_to(entry)
        hosts = place_greedily(free, spec.machine, spec.replicas, avoid=entry.job.failed_hosts)
        devices = None if hosts is None else self.ledger.choose_devices(spec.machine, hosts)
        return hosts is not None and devices is not None and await self._place(entry, hosts, devices)

    async def _place(self, entry: Waiting, hosts: tuple[str, ...], devices: Devices) -> bool:
        """Ask the cluster for exactly these machines; whether the entry left the queue."""
        job, spec = entry.job, entry.job.spec
        self.ledger.book(job.uid, spec.machine, hosts, devices)
        try:
            addresses = self.addresses.take(job.uid, spec.backend, self.ledger.named(hosts))
            await self._cluster.place(
                PlacementRequest(job.uid, entry.incarnation, spec.machine, spec.backend, spec.replicas, hosts)
            )
        except (NoRoomNow, ClusterUnavailable, NoAddressLeft) as problem:
            log.info("not placed", job=job.id, problem=str(problem))
            self._unbook(job.uid)
            return False
        if self._waits(entry):
            self.withdraw(job.uid)
            self._post(job.uid, PlacementGranted(entry.incarnation, hosts, addresses, devices))
        else:  # stopped while the cluster was asked; its clean-up may have run before there was anything
            self._unbook(job.uid)
            self._owed.add((job.uid, entry.incarnation))
            await self._give_back()
        return True

    def _unbook(self, uid: JobUid) -> bool:
        self.addresses.give_back(uid)
        return self.ledger.cancel(uid)

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

    def _end_pauses(self) -> None:
        now = self._clock.now()
        for uid, entry in list(self._pausing.items()):
            if entry.not_before <= now:
                del self._pausing[uid]
                self._line(entry.category).add(entry)

    def _tell(self, uids: Iterable[JobUid]) -> None:
        """That there is no room, once (SCH-13); then, if it takes longer, place and reason."""
        for uid in uids:
            if uid in self._untold and uid not in self._pausing:
                self._untold.discard(uid)
                self._post(uid, Noted(self._held) if self._held else NoRoom())
        if not self._held:
            self.news.tell(self._lines)

    def _line(self, category: str) -> WaitingLine:
        return self._lines.setdefault(category, WaitingLine())


def could_ever_fit(ledger: Ledger, machine: Machine, replicas: int, backend: Backend | None = None) -> bool:
    """Whether all ranks fit when everything is idle (SCH-14), on machines that run the backend. With no machine known
    yet, or while some are awaited that may be larger, nobody can say: yes."""
    known = ledger.ever(machine.product.category)
    able = {
        host: _idle(node, machine.product.category)
        for host, node in known.items()
        if backend is None or backend in node.backends
    }
    return not known or ledger.awaits_strangers or fits(able, {}, machine, replicas)


def _idle(node: Node, category: str) -> Size:
    sold = Size(*node.capacity[category])
    return sold._replace(gpu=min(sold.gpu, len(node.gpus)))
