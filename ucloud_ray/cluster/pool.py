"""Replica actors of each machine: leased to ranks, given back, made when needed, ended when idle for long (D5).

A new actor costs half a second of CPU, a call to an existing one a millisecond. So a lease takes an actor with room;
when none has, it stands in line. Actors of short jobs come back all the time and serve the line; only when none came
back for a moment is another one made.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ray
import structlog

from runtimes.types import TaskId
from ucloud_ray.cluster import calls, names
from ucloud_ray.cluster.factories import ClusterSettings
from ucloud_ray.cluster.replica import CONCURRENCY, ReplicaActor
from ucloud_ray.control.ports import ClusterUnavailable

log = structlog.get_logger(__name__)

HELLO_SECONDS = 10.0
NEW_SECONDS = 60.0
"""How long a new actor may take. On a busy machine giving up early would only add another one to its load."""

GROW_AFTER = 0.5
"""Seconds without an actor given back after which one is made for those in line."""

GROW_AT_ONCE = 4
"""Actors that are made at the same time per machine; Ray itself makes as many as there are processors."""

IDLE_SECONDS = 60.0
"""How long an actor beyond the warm ones stays without work before it is ended."""


@dataclass(slots=True)
class Worker:
    """One replica actor as we know it."""

    name: str
    host: str
    actor: Any
    load: set[TaskId] = field(default_factory=set)
    idle_since: float = field(default_factory=time.monotonic)


class Waiting(NamedTuple):
    """Who stands in line."""

    task: TaskId
    served: asyncio.Future[Worker]


@dataclass(slots=True)
class HostPool:
    workers: list[Worker] = field(default_factory=list)
    waiting: deque[Waiting] = field(default_factory=deque)
    growing: int = 0
    """Actors that are being made."""
    came_back: float = 0.0
    """When an actor was last given back (monotonic)."""


class Pool:
    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._hosts: dict[str, HostPool] = {}
        self._leases: dict[TaskId, Worker] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -------------------------------------------------------------------------------------------------- leasing

    async def lease(self, host: str, task: TaskId) -> Any:
        """The actor that serves this task: the one it has, else one with room. Raises `ClusterUnavailable`."""
        worker = self._leases.get(task) or self._with_room(host) or await self._wait_for_room(host, task)
        first = self._leases.setdefault(task, worker)
        first.load.add(task)
        if first is not worker:  # two calls about one task stood in line
            self._free(worker, task)
        return first.actor

    def serving(self, task: TaskId) -> Any:
        """The actor that this task has; None if it has none at the moment."""
        worker = self._leases.get(task)
        return None if worker is None else worker.actor

    def give_back(self, task: TaskId) -> None:
        """The task is gone from its machine."""
        worker = self._leases.pop(task, None)
        if worker is None:
            return
        worker.idle_since = self._pool(worker.host).came_back = time.monotonic()
        self._free(worker, task)

    def _with_room(self, host: str) -> Worker | None:
        return next((w for w in self._pool(host).workers if len(w.load) < self._settings.replicas_per_actor), None)

    async def _wait_for_room(self, host: str, task: TaskId) -> Worker:
        pool = self._pool(host)
        mine = Waiting(task, asyncio.get_running_loop().create_future())
        pool.waiting.append(mine)
        try:
            while not mine.served.done():
                if not pool.workers or time.monotonic() - pool.came_back >= GROW_AFTER:
                    self._grow(host)
                await asyncio.wait([mine.served], timeout=GROW_AFTER)
            return mine.served.result()
        except asyncio.CancelledError:
            if mine.served.done() and mine.served.exception() is None:
                self._free(mine.served.result(), task)
            raise
        finally:
            if mine in pool.waiting:
                pool.waiting.remove(mine)

    def _offer(self, worker: Worker) -> None:
        """Room in this worker goes to who waits longest; it is taken at once, so that nobody gets it twice."""
        waiting = self._pool(worker.host).waiting
        while waiting and len(worker.load) < self._settings.replicas_per_actor:
            first = waiting.popleft()
            if not first.served.done():
                worker.load.add(first.task)
                first.served.set_result(worker)

    def _free(self, worker: Worker, task: TaskId) -> None:
        worker.load.discard(task)
        self._offer(worker)

    def _pool(self, host: str) -> HostPool:
        return self._hosts.setdefault(host, HostPool())

    # -------------------------------------------------------------------------------------------------- growing

    def keep_warm(self, host: str) -> None:
        """Have the configured number of idle actors there; end those that were idle for long beyond it.

        While actors come back all the time they are as good as idle: none is made in the middle of a burst.
        """
        pool = self._pool(host)
        workers, now = pool.workers, time.monotonic()
        idle = [worker for worker in workers if not worker.load]
        if len(idle) < self._settings.warm_replica_actors and now - pool.came_back > GROW_AFTER:
            self._grow(host)
        for worker in idle[self._settings.warm_replica_actors :]:
            if now - worker.idle_since > IDLE_SECONDS:
                workers.remove(worker)
                _end(worker)

    def drop_host(self, host: str) -> None:
        """The machine left the cluster: its actors are not to be asked any more."""
        pool = self._hosts.pop(host, None)
        for worker in pool.workers if pool else ():
            for task in list(worker.load):
                self._leases.pop(task, None)
            _end(worker)
        for _, waiting in pool.waiting if pool else ():
            if not waiting.done():
                waiting.set_exception(ClusterUnavailable(f"{host} is not in the cluster at the moment"))

    def _grow(self, host: str) -> None:
        """As many more actors as those in line fill, at least one, and a few at a time: after a restart of all of Ray
        many ranks stand in line at once."""
        pool = self._pool(host)
        needed = max(1, -(-len(pool.waiting) // self._settings.replicas_per_actor))
        while pool.growing < min(needed, GROW_AT_ONCE):
            pool.growing += 1
            task = asyncio.create_task(self._add(host), name=f"grow {host}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _add(self, host: str) -> None:
        pool = self._pool(host)
        try:
            worker = self._create(f"{names.REPLICA_PREFIX}{host}-{uuid.uuid4().hex[:8]}", host)
            await self._greet(worker)
        except ClusterUnavailable as problem:
            log.warning("no replica actor could be made", host=host, problem=str(problem))
            self._fail_one(pool, problem)
            return
        finally:
            pool.growing -= 1
        self._pool(host).workers.append(worker)  # the machine may have left and come back since: `pool` is dropped then
        self._offer(worker)

    async def _greet(self, worker: Worker) -> None:
        """Ray would make one that we gave up some day, and nobody would ever use it or end it."""
        try:
            await calls.answer(worker.actor.hello.remote(), timeout=NEW_SECONDS, what="a new replica actor")
        except ClusterUnavailable:
            _end(worker)
            raise

    def _fail_one(self, pool: HostPool, problem: ClusterUnavailable) -> None:
        """Whoever waits longest hears of it and tries again; nobody hangs."""
        while pool.waiting:
            first = pool.waiting.popleft().served
            if not first.done():
                first.set_exception(problem)
                return

    def _create(self, name: str, host: str) -> Worker:
        remote = ray.remote(ReplicaActor).options(
            name=name,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
            max_concurrency=CONCURRENCY,
            label_selector={names.HOST_LABEL: host},
        )
        return Worker(name, host, remote.remote(host, self._settings.driver_of, self._settings.sample_usage))

    # ------------------------------------------------------------------------------------------------- adopting

    async def adopt(self) -> None:
        """After a restart of the supervisor: take over the actors that are there, with the tasks that they serve."""
        found = [entry for entry in ray.util.list_named_actors() if str(entry).startswith(names.REPLICA_PREFIX)]
        await asyncio.gather(*(self._adopt(str(name)) for name in found))

    async def _adopt(self, name: str) -> None:
        with contextlib.suppress(ValueError):  # it ended since it was listed
            actor = ray.get_actor(name)
            try:
                host, tasks = await calls.answer(actor.take_over.remote(), timeout=HELLO_SECONDS, what=name)
            except (ClusterUnavailable, AttributeError):  # AttributeError: one of an older version
                ray.kill(actor)
                return
            worker = Worker(name, host, actor, set(tasks))
            self._leases.update(dict.fromkeys(tasks, worker))
            self._pool(host).workers.append(worker)

    async def waiting(self) -> int:
        """How many ends are waited for at the actors, as they say themselves; those that do not answer say none."""
        workers = [worker for pool in self._hosts.values() for worker in pool.workers]
        asked = (calls.answer(worker.actor.waiting.remote(), timeout=HELLO_SECONDS) for worker in workers)
        told = await asyncio.gather(*asked, return_exceptions=True)
        return sum(number for number in told if isinstance(number, int))

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Host to number of actors and of leases, for operators."""
        return {h: (len(p.workers), sum(len(w.load) for w in p.workers)) for h, p in self._hosts.items()}


def _end(worker: Worker) -> None:
    with contextlib.suppress(Exception):  # it may be dead already; workloads are not its children (D1)
        ray.kill(worker.actor)
