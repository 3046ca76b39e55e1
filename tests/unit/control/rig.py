"""A whole control plane in one process: real SQLite store, scripted machines, a Core that takes every update."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.local_cluster import CATEGORY, PROVIDER, LocalCluster, Machines
from tests.support.recorded_updates import RecordedUpdates
from tests.support.wait import async_wait_until
from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.charger import CoreAccounting, NobodyCharges
from ucloud_ray.control.clock import SystemClock
from ucloud_ray.control.credits import CoreFunds, NobodyPays
from ucloud_ray.control.drives import Drives
from ucloud_ray.control.offers import Offers
from ucloud_ray.control.overload import Limits
from ucloud_ray.control.performer import Patience
from ucloud_ray.control.ports import Access, NobodyShares
from ucloud_ray.control.requests import Requests
from ucloud_ray.control.service import NewJob
from ucloud_ray.control.supervisor import Parts, Supervisor
from ucloud_ray.control.task_spec import TaskFactory
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobRef, Millis, ProductId
from ucloud_ray.domain.job import Backend, Job, JobSpec, JobState, Launch, Owner, Rules
from ucloud_ray.machines import machine_of
from ucloud_ray.settings import DriveSettings, ProductSettings
from ucloud_ray.store.failing import FailingStore
from ucloud_ray.store.open import open_store

PRODUCTS = (
    ProductSettings("one-core", CATEGORY, cpu=1, memory_in_gigs=1),
    ProductSettings("whole", CATEGORY, cpu=4, memory_in_gigs=16),
)
CREATED = Millis(1_700_000_000_000)
SOON = Patience(retry=0.005, retry_most=0.02, host_grace=0.2, start=0.2)
RULES = Rules(replica_linger=50, stop_grace=100, start_pause=10)


def product(name: str) -> ProductId:
    return ProductId(name, CATEGORY, PROVIDER)


def spec(*words: str, machine: str = "one-core", replicas: int = 1, **more: Any) -> JobSpec:
    """A job that does what the words of the scripted driver say."""
    settings = next(settings for settings in PRODUCTS if settings.name == machine)
    launch = Launch(image=None, argv=("scripted", *words), environment={})
    base = JobSpec(
        Owner("alice"),
        "batch",
        "1.0",
        "Batch",
        machine_of(settings, PROVIDER),
        Backend.DOCKER,
        replicas,
        launch,
    )
    return replace(base, **more)


def job(id: str, *words: str, created_at: int = CREATED, **more: Any) -> NewJob:
    return NewJob(JobId(id), Millis(created_at), spec(*words, **more), {"id": id})


def ref(id: str, created_at: int | None = CREATED) -> JobRef:
    return JobRef(JobId(id), None if created_at is None else Millis(created_at))


def states(updates: list[Announce]) -> list[JobState]:
    return [update.state for update in updates if update.state is not None]


class ShiftedClock(SystemClock):
    """The wall clock of a machine whose administrator sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = 0

    def now(self) -> Millis:
        return Millis(super().now() + self.shift)


@dataclass
class Life:
    """One supervisor from its start to its end."""

    supervisor: Supervisor
    requests: Requests
    cluster: LocalCluster
    store: FailingStore
    """This life's way to the store."""


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines = Machines(folder / "machines")
        self.clock = ShiftedClock()
        self.rules = RULES
        self.patience = SOON
        self.products = PRODUCTS
        self.drives: tuple[DriveSettings, ...] = ()
        self.access: Access = NobodyShares()
        self.access_check = 300.0
        self.accounting: CoreAccounting = NobodyCharges()
        self.funds: CoreFunds = NobodyPays()
        self.charge_interval = 60.0
        self.max_uncharged = 24 * 3600.0
        self.limits = Limits()
        self.store: Any = None
        self.updates: Any = None
        self.lives: list[Life] = []

    async def open(self) -> None:
        self.store = await open_store(f"sqlite:///{self.folder / 'jobs.db'}", self.clock)
        self.updates = RecordedUpdates(self.store)

    async def start(self, prepare: Callable[[LocalCluster], None] = lambda _: None) -> Life:
        life = self._new_life()
        prepare(life.cluster)
        await life.supervisor.start()
        return life

    def _new_life(self) -> Life:
        store, cluster = FailingStore(self.store), LocalCluster(self.machines)
        parts = Parts(
            store=store,
            updates=self.updates,
            cluster=cluster,
            clock=self.clock,
            tasks=self.tasks(),
            offers=Offers(PROVIDER, self.products),
            rules=self.rules,
            patience=self.patience,
            log_replay_bytes=1024,
            relay_key=b"k" * 32,
            access=self.access,
            access_check=self.access_check,
            accounting=self.accounting,
            funds=self.funds,
            charge_interval=self.charge_interval,
            max_uncharged=self.max_uncharged,
            limits=self.limits,
        )
        supervisor = Supervisor(parts)
        life = Life(supervisor, Requests(supervisor), cluster, store)
        self.lives.append(life)
        return life

    def tasks(self) -> TaskFactory:
        return TaskFactory(
            PROVIDER, Drives(self.drives, self.folder / "drives"), self.folder / "logs", 100, 100, Accounts(None)
        )

    async def crash(self) -> None:
        """The newest supervisor ends without a word: nothing of it reaches the store or a machine any more."""
        life = self.lives[-1]
        life.store.fail("commit")
        life.cluster.unavailable = True
        await life.supervisor.close()
        # As the publisher does after a restart: what was written and not handed over is on disk.
        self.updates.submit(await self.store.pending_updates())

    async def forget_updates(self) -> None:
        """The publisher went down with its supervisor; the next one reads from disk what waits."""
        await self.updates.close()
        self.updates = RecordedUpdates(self.store)
        self.updates.submit(await self.store.pending_updates())

    async def close(self) -> None:
        for life in self.lives:
            assert not [
                task
                for task in life.supervisor._background
                if task.done() and not task.cancelled() and task.exception()
            ]
            await life.supervisor.close()
        await self.updates.close()
        await self.store.close()

    # -------------------------------------------------------------------------------------------- observing

    def told(self, id: str) -> list[Announce]:
        return list(self.updates.of(id))

    def told_texts(self, id: str) -> list[str]:
        return [update.status for update in self.told(id) if update.status is not None]

    def states(self, id: str) -> list[JobState]:
        return states(self.told(id))

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        async def observe() -> Any:
            return condition()

        await async_wait_until(observe, what, timeout=5)

    async def until_state(self, id: str, state: JobState) -> None:
        await self.until(lambda: state in self.states(id), f"job {id} to be told {state}; told: {self.told(id)}")

    async def until_phase(self, id: str, kind: str) -> Job:
        engine = self.lives[-1].supervisor.engine
        await self.until(
            lambda: (found := engine.newest(JobId(id))) is not None and found.phase.kind == kind, f"job {id} {kind}"
        )
        found = engine.newest(JobId(id))
        assert found is not None
        return found

    async def until_nothing_is_left(self) -> None:
        """No task, no reservation, no live job, nothing remembered of any."""
        supervisor = self.lives[-1].supervisor
        await self.until(lambda: not supervisor.engine.jobs(), "every job to be over")
        await self.until(lambda: not self.machines.reservations, "every reservation to be given back")
        assert await self.machines.tasks() == []

    def starts(self, uid: str, rank: int = 0) -> int:
        """How often the rank was really started: the scripted driver prints once per start."""
        log = self.folder / "logs" / uid / f"stdout-{rank}.log"
        return log.read_text().count("started\n") if log.exists() else 0

    async def quiet(self) -> None:
        """Let everything that is ready to run do so, and what is being written reach the disk and the Core. What is
        held up is not waited for."""
        for _ in range(50):
            await asyncio.sleep(0)
        while busy := self._writing():
            done, _ = await asyncio.wait(busy, timeout=0.1)
            if not done:
                return
            for _ in range(50):
                await asyncio.sleep(0)

    def _writing(self) -> set[asyncio.Task[None]]:
        return self.lives[-1].supervisor.engine._tasks | self.updates._delivering
