"""The control plane of one provider, assembled: engine, scheduler, performer, timers, and what they know.

A plain object. In production the supervisor actor is a shell around it; tests hold it directly. Life:

    start(): load ─▶ book what runs ─▶ resume every job ─▶ deadlines ─▶ ready, scheduler (REC-5)

Until then every request is answered with `NotReady`, and no new work is taken. The publisher reads the outbox itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from ucloud_ray.control.access_keeper import AccessKeeper
from ucloud_ray.control.addresses import Addresses
from ucloud_ray.control.charger import Charger, CoreAccounting, NobodyCharges
from ucloud_ray.control.charging_cycle import ChargingCycle
from ucloud_ray.control.clock import wall_clock
from ucloud_ray.control.credits import CoreFunds, Credits, NobodyPays
from ucloud_ray.control.drains import Drains
from ucloud_ray.control.engine import Engine
from ucloud_ray.control.fabric import Ground
from ucloud_ray.control.fabric_keeper import FabricKeeper
from ucloud_ray.control.leftovers import Leftovers
from ucloud_ray.control.offers import Offers
from ucloud_ray.control.overload import Limits
from ucloud_ray.control.performer import Patience, Performer
from ucloud_ray.control.ports import (
    Access,
    Clock,
    Cluster,
    ClusterUnavailable,
    JobStore,
    NobodyShares,
    PlacementRequest,
    Updates,
)
from ucloud_ray.control.scheduler import STARVATION_AGE, Scheduler, could_ever_fit
from ucloud_ray.control.task_spec import TaskFactory
from ucloud_ray.control.timers import Timers
from ucloud_ray.control.views import Versions
from ucloud_ray.domain.events import StopCause, StopRequested
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Final, Job, Queued, Rules, Suspended

log = structlog.get_logger(__name__)

ADOPT_SECONDS = 1.0
"""Between attempts to reserve again what a running job holds, after the cluster was restarted."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the supervisor is made of; the composition root fills it."""

    store: JobStore
    updates: Updates
    cluster: Cluster
    clock: Clock
    tasks: TaskFactory
    offers: Offers
    rules: Rules
    patience: Patience
    log_replay_bytes: int
    relay_key: bytes
    ground: Ground = field(default_factory=Ground)
    starvation_age: int = STARVATION_AGE
    """Milliseconds (SCH-10)."""
    orphan_grace: float = 300.0
    """Seconds (ENV-59)."""
    access: Access = field(default_factory=NobodyShares)
    access_check: float = 300.0
    """Seconds (ACC-19)."""
    accounting: CoreAccounting = field(default_factory=NobodyCharges)
    funds: CoreFunds = field(default_factory=NobodyPays)
    charge_interval: float = 60.0
    """Seconds (ACC-2)."""
    max_uncharged: float = 24 * 3600.0
    """Seconds that a charge may wait before no job is started any more (ACC-22)."""
    limits: Limits = field(default_factory=Limits)


class Supervisor:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.engine = Engine(parts.store, parts.updates, parts.clock)
        addresses = Addresses(parts.ground.network, parts.store.machine_number)
        self.scheduler = Scheduler(parts.cluster, parts.clock, self.engine.post, addresses, parts.starvation_age)
        self.scheduler.ledger.patience = parts.patience.host_grace
        self.drains = Drains(parts.store, self.scheduler, self.engine)
        self.leftovers = Leftovers(
            parts.cluster, self.scheduler, self.engine.live, parts.tasks.provider_id, parts.orphan_grace
        )
        self.fabric = FabricKeeper(parts.cluster, addresses, parts.ground, parts.patience.host_grace)
        self.timers = Timers(parts.clock, self.engine.post)
        self.access = AccessKeeper(
            parts.access, parts.tasks.drives, self.engine.jobs, self.engine.post, parts.access_check
        )
        self.credits = Credits(
            parts.funds, self.engine.jobs, self.engine.post, self.engine.settle, parts.rules.accounting_style
        )
        self.charger = Charger(parts.store, parts.accounting, parts.clock, self.credits)
        self.charging = ChargingCycle(
            parts.store,
            parts.clock,
            self.engine,
            self.scheduler,
            self.charger,
            parts.charge_interval,
            parts.max_uncharged,
        )
        self.versions = Versions()
        self._performer = Performer(
            parts.cluster,
            self.scheduler,
            parts.tasks,
            self.fabric,
            self.engine.post,
            self.engine.live,
            parts.store.document,
            parts.patience,
            self.credits.covers,
            self._moment,
        )
        listeners = (self.timers.update, self._note, self.fabric.note, self.charging.note)
        self.engine.connect(self._performer, listeners)
        self.ready = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Recover everything, then take work. Raises what the store raises if it cannot be read."""
        jobs = await self.parts.store.active_jobs()
        for job in jobs:
            self.engine.load(job)
            await self.scheduler.addresses.adopt(job)
            self.fabric.note(job)
            if not isinstance(job.phase, Queued | Suspended | Final) and job.ranks:
                self.scheduler.adopt(job)
        await self.drains.load()
        self.scheduler.ledger.expect(await self.parts.store.machines())
        await self.charging.hold_if_overdue()  # what had to wait before a restart has to wait after it, too
        await self.scheduler.look()
        self._warn()
        for job in jobs:
            self.engine.resume(job)
            if (newest := self.engine.newest(job.id)) is not None and newest.uid != job.uid:
                self.forget(job.uid)  # its id went to another job, and we ended before it was stopped (O3)
        self._run(self._place(jobs), "placements")
        self._run(self.leftovers.run(), "leftovers")
        self.timers.fire()
        self.ready.set()
        self._run(self.timers.run(), "timers")
        self._run(self.access.run(), "access")
        self._run(self.charger.run(), "charger")
        self._run(self.charging.run(), "charging")
        self._run(self.fabric.run(), "fabric")
        log.info("ready", jobs=len(jobs))

    async def close(self) -> None:
        """This process is leaving. Workloads go on (models: stop and leave are different signals)."""
        self.ready.clear()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._performer.close()
        await self.fabric.close()
        await self.engine.close()

    def forget(self, uid: JobUid) -> None:
        """The Core does not know the job any more (REC-9)."""
        self.engine.post(uid, StopRequested(StopCause.FORGOTTEN))

    async def _place(self, jobs: list[Job]) -> None:
        """Ray may have been restarted, too: hold again what is running, and nothing else (D2).

        New placements come after the old ones are sorted out: one that was granted in the last moment of our
        predecessor has the name of the one that will be asked for now.
        """
        holding = {job.uid: job for job in jobs if job.uid in self.scheduler.ledger}
        await self._keep_only({uid: job.incarnation for uid, job in holding.items()})
        await asyncio.gather(self.scheduler.run(), self._reserve_again(holding))

    async def _keep_only(self, reservations: dict[JobUid, int]) -> None:
        while True:
            try:
                return await self.parts.cluster.keep_only(reservations)
            except ClusterUnavailable as problem:
                log.warning("old reservations are not given back yet", problem=str(problem))
                await asyncio.sleep(ADOPT_SECONDS)

    async def _reserve_again(self, holding: dict[JobUid, Job]) -> None:
        while holding:
            for uid, job in list(holding.items()):
                if await self._agree(job):
                    del holding[uid]
            if holding:
                await asyncio.sleep(ADOPT_SECONDS)

    async def _agree(self, job: Job) -> bool:
        """Whether the cluster now holds what we hold. The job may end while it is asked."""
        held = self._holds(job)
        spec, hosts = job.spec, tuple(rank.host for rank in job.ranks)
        request = PlacementRequest(job.uid, job.incarnation, spec.machine, spec.backend, spec.replicas, hosts)
        cluster = self.parts.cluster
        try:
            await (cluster.place(request) if held else cluster.release(job.uid, job.incarnation))
        except Exception as problem:  # whatever it is: the workload runs, and its room is booked here
            log.warning("the reservation of a running job is not right yet", job=job.id, problem=str(problem))
            return False
        return held == self._holds(job)

    def _holds(self, job: Job) -> bool:
        live = self.engine.live(job.uid)
        return job.uid in self.scheduler.ledger and live is not None and live.incarnation == job.incarnation

    def unsaleable(self) -> list[str]:
        """Products that fit no machine, even an idle one (SCH-3). Empty while no machine is known."""
        offers, ledger = self.parts.offers, self.scheduler.ledger
        return [machine.product.id for machine in offers.machines() if not could_ever_fit(ledger, machine, 1)]

    def _warn(self) -> None:
        for name in self.unsaleable():
            log.warning("a product fits no machine, even an idle one", product=name)

    def _moment(self, seconds: float) -> Millis:
        """A time that a machine tells, by our clock: machines agree with each other, and perhaps not with us, since
        somebody may have set their clocks (TIME-13)."""
        return Millis(round(seconds * 1000) - wall_clock() + self.parts.clock.now())

    def _note(self, job: Job) -> None:
        self.versions.bump(job.uid, last=job.final)

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_tell_unexpected_end)
        self._background.append(task)


def _tell_unexpected_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a part of the supervisor ended unexpectedly", part=task.get_name(), exc_info=task.exception())
