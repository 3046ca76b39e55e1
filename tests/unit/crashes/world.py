"""What outlives a supervisor, and one supervisor after the other in it.

A life is everything that a supervisor's process holds: all tasks that were made while it ran. When its fuse blows they
are dropped on the spot, nothing is closed, and another life begins on the same store, machines and Core. Whoever orders
something from outside asks again until there is an answer, as a Core does.
"""

from __future__ import annotations

import asyncio
import shutil
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from tests.support.local_cluster import PROVIDER, Host, LocalCluster, Machines
from tests.unit.control.rig import CREATED, PRODUCTS, ShiftedClock, job
from tests.unit.crashes.core import MemoryCore
from tests.unit.crashes.fuse import Fuse, Fused
from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.drives import Drives
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.offers import Offers
from ucloud_ray.control.performer import Patience
from ucloud_ray.control.requests import Requests
from ucloud_ray.control.service import NewJob
from ucloud_ray.control.supervisor import Parts, Supervisor
from ucloud_ray.control.task_spec import TaskFactory
from ucloud_ray.core_client.backoff import Backoff
from ucloud_ray.core_client.publisher import Publisher
from ucloud_ray.core_client.timing import Timing
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Rules
from ucloud_ray.store import SqlJobStore, open_store
from ucloud_ray.store.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE = Patience(retry=0.002, retry_most=0.01, host_grace=0.1, start=0.3)
RULES = Rules(replica_linger=40, stop_grace=100, start_pause=5)
TIMING = Timing(Backoff(0.002, 0.01), gather=0.0, second_request_after=0.01, unknown_for=0, denials=1)
LONGEST_SECONDS = 8.0
LOOK_SECONDS = 0.01

_LIFE: ContextVar[object | None] = ContextVar("life", default=None)
_TASKS: weakref.WeakKeyDictionary[asyncio.Task[Any], object] = weakref.WeakKeyDictionary()


def tag_tasks(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **named: Any) -> asyncio.Task[Any]:
    """The event loop's task factory: whose process a task belongs to."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **named)
    if (life := _LIFE.get()) is not None:
        _TASKS[task] = life
    return task


class Life:
    def __init__(self, world: World, fuse: Fuse) -> None:
        self.fuse = fuse
        self._store = world.store
        store = Fused("store", world.store, fuse)
        core = Fused("core", world.core, fuse)
        self.cluster = LocalCluster(world.machines)
        self.cluster.full = world.full
        publisher = Publisher(core, store, world.clock, self._forget, TIMING)  # type: ignore[arg-type]  # by shape
        self.supervisor = Supervisor(
            Parts(
                store=store,
                updates=publisher,
                cluster=Fused("cluster", self.cluster, fuse),
                clock=world.clock,
                tasks=world.tasks,
                offers=Offers(PROVIDER, PRODUCTS),
                rules=world.rules,
                patience=PATIENCE,
                orphan_grace=0.05,
                accounting=core,
                funds=core,
                charge_interval=0.05,
                log_replay_bytes=1024,
                relay_key=b"k" * 32,
            )
        )
        self.requests = Requests(self.supervisor)
        self._publisher = publisher
        self._started = asyncio.create_task(self._start(), name="a life")

    def _forget(self, uid: JobUid) -> None:
        self.supervisor.forget(uid)

    async def _start(self) -> None:
        _LIFE.set(self)
        publishing = asyncio.create_task(self._publisher.run(), name="publisher")
        await self.supervisor.start()
        await publishing

    async def drop(self) -> None:
        """Its process is gone. What machines began for it goes on there."""
        tasks = [task for task, life in _TASKS.items() if life is self and not task.get_name().startswith("start j-")]
        tasks.append(self._started)
        for _ in range(3):  # some clean up after themselves, and are stopped in that, too
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.5)
        assert all(task.done() for task in tasks), [task for task in tasks if not task.done()]
        await self._store.set_drain("nobody", None)  # a transaction that was under way is over once this one is

    def broken(self) -> BaseException | None:
        """A part of it that ended by itself."""
        return self._started.exception() if self._started.done() and not self._started.cancelled() else None


class World:
    def __init__(self, folder: Path, store: SqlJobStore, clock: ShiftedClock, rules: Rules, number: int) -> None:
        """`store`: nothing is live in it. `number`: another one for each world on it, so that no job is an old one."""
        self.folder = folder
        self.created = CREATED + number * 1000
        self.store = store
        self.clock = clock
        self.rules = rules
        self.core = MemoryCore()
        self.machines = Machines(folder / "machines")
        self.tasks = TaskFactory(PROVIDER, Drives((), folder / "drives"), folder / "logs", 100, 100, Accounts(None))
        self.full = False
        self.uids: list[JobUid] = []
        """Of every job that was accepted."""
        self.life: Life | None = None
        """The present one."""
        self.lives: list[Life] = []
        self.ended = 0
        """Lives that crashed."""

    def new(self, id: str, *words: str, **more: Any) -> NewJob:
        """A job that does what the words of the scripted driver say."""
        return job(id, *words, created_at=self.created, **more)

    async def live(self, *fuses: Fuse) -> None:
        """One life per fuse, each until it blows; the last one has none and goes on. Ends only by cancellation."""
        for fuse in (*fuses, Fuse()):
            self.life = Life(self, fuse)
            self.lives.append(self.life)
            await fuse.blown.wait()
            life, self.life = self.life, None
            self.ended += 1
            await life.drop()

    async def ask(self, order: Callable[[Requests], Awaitable[T]]) -> T:
        """Until there is an answer."""
        while True:
            if (life := self.life) is not None:
                answer = asyncio.ensure_future(order(life.requests))
                gone = asyncio.ensure_future(life.fuse.blown.wait())
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                if answer.done():
                    with suppress(NotReady, StoreUnavailable):
                        return answer.result()
                answer.cancel()
            await asyncio.sleep(LOOK_SECONDS)

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + LONGEST_SECONDS
        while not condition():
            if self.life is not None and (problem := self.life.broken()) is not None:
                raise AssertionError(f"a supervisor ended by itself: {problem!r}")
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"waited in vain for {what}; told: {self.told()}")
            await asyncio.sleep(LOOK_SECONDS)

    async def until_state(self, id: str, state: str) -> None:
        await self.until(lambda: state in self.core.job(id).states, f"{id} to be {state}")

    async def until_heard(self) -> None:
        """Until the Core has heard everything so far, and we know that it has."""
        deadline = asyncio.get_running_loop().time() + LONGEST_SECONDS
        while self.life is None or await self.store.pending_updates():
            assert asyncio.get_running_loop().time() < deadline, "updates are left"
            await asyncio.sleep(LOOK_SECONDS)

    async def settle(self) -> None:
        """Until nothing is owed: no live job, nothing held, nothing to tell or to charge."""
        deadline = asyncio.get_running_loop().time() + LONGEST_SECONDS
        while owed := await self._owed():
            assert asyncio.get_running_loop().time() < deadline, f"left: {owed}; told: {self.told()}"
            await asyncio.sleep(LOOK_SECONDS)

    async def _owed(self) -> dict[str, Any]:
        """What is left, as one and the same supervisor sees it."""
        life = self.life
        if life is None or not life.supervisor.ready.is_set():
            return {"supervisor": "starting"}
        owed = {
            "jobs": [job.phase.kind for job in life.supervisor.engine.jobs()],  # first: its end makes an update
            "updates": await self.store.pending_updates(),
            "charges": await self.store.charges(1),
            "tasks": await self.machines.tasks(),
            "reservations": dict(self.machines.reservations),
            **_held(life.supervisor),
            "let through": [pair for host in self.machines.hosts.values() for pair in _pairs(host)],
        }
        return {what: left for what, left in owed.items() if left} if life is self.life else {"supervisor": "gone"}

    def told(self) -> dict[str, list[Any]]:
        told = self.core.jobs.items()
        return {name: [(update["state"], update["status"]) for update in job.updates] for name, job in told}

    def starts(self, uid: str, rank: int = 0) -> int:
        """How often the rank was really started: the scripted program prints once per start."""
        log = self.folder / "logs" / uid / f"stdout-{rank}.log"
        return log.read_text().count("started\n") if log.exists() else 0

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _held(supervisor: Supervisor) -> dict[str, Any]:
    """What its books say that jobs hold."""
    scheduler = supervisor.scheduler
    return {
        "addresses": dict(scheduler.addresses._of_job),
        "bookings": list(scheduler.ledger.holdings()),
        "queues": [entry.uid for entry in scheduler.in_order()],
    }


def _pairs(host: Host) -> tuple[tuple[str, str], ...]:
    return host.plans[-1].pairs if host.plans else ()


async def open_world_store(folder: Path, clock: ShiftedClock) -> SqlJobStore:
    return await open_store(f"sqlite:///{folder / 'jobs.db'}", clock)
