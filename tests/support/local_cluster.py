"""A cluster without Ray: several machines in this process, each with a task desk over a scripted driver of its own.

`Machines` is what outlives a supervisor. `LocalCluster` is one supervisor's connection to them, `control.ports.Cluster`
with a record of every call, so that a test can say what was not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from runtimes.driver import Driver
from runtimes.errors import ImageUnavailable
from runtimes.network.plan import NetworkPlan
from runtimes.scripted.driver import ScriptedDriver
from runtimes.scripted.task_files import TaskFiles
from runtimes.settings import ScriptedSettings
from runtimes.types import ExitResult, FoundTask, Progress, TaskHandle, TaskId, TaskSpec, TaskState
from ucloud_ray.control.ports import ClusterUnavailable, HostGone, Node, NoRoomNow, PlacementRequest, Started
from ucloud_ray.control.replica_runner import TaskDesk
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend

Result = TypeVar("Result")

CATEGORY = "standard"
CAPACITY = (4_000, 16 * 10**9, 0)
PROVIDER = "example"


class StallingDriver(ScriptedDriver):
    """Its `prepare` can be made to hang or fail, as a download of an image."""

    def __init__(self, settings: ScriptedSettings) -> None:
        super().__init__(settings)
        self.may_prepare = asyncio.Event()
        self.may_prepare.set()
        self.failures = 0
        """How many preparations fail for a passing reason, whichever task they are for."""
        self.doing: Progress | None = None
        """What it says of preparations that are under way."""

    def progress(self, id: TaskId) -> Progress | None:
        return self.doing

    async def prepare(self, spec: TaskSpec) -> None:
        await self.may_prepare.wait()
        if self.failures > 0:
            self.failures -= 1
            raise ImageUnavailable("the registry does not answer", retryable=True)
        await super().prepare(spec)


@dataclass
class Host:
    name: str
    folder: Path
    capacity: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: {CATEGORY: CAPACITY})
    backends: frozenset[Backend] = frozenset(Backend)
    relay: tuple[str, int] | None = None
    gpus: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    described: bool = True
    networked: bool = True
    plans: list[NetworkPlan] = field(default_factory=list)
    """Those that were put in force there; emptied by a restart of the machine."""
    names: dict[TaskId, dict[str, str]] = field(default_factory=dict)
    """What running tasks were told of others, the newest of each."""
    here: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.driver = StallingDriver(ScriptedSettings(self.folder))
        self.desk = self._new_desk()
        self.here.set()

    def restart_actors(self) -> None:
        """The replica actors were killed and made anew: they remember nothing."""
        self.desk = self._new_desk()

    def _new_desk(self) -> TaskDesk:
        driver: Driver = self.driver
        return TaskDesk(lambda _: driver, launch_seconds=0.05)

    def node(self) -> Node:
        return Node(
            self.name,
            self.address,
            self.here.is_set(),
            self.backends,
            self.capacity,
            {},
            self.relay,
            gpus=self.gpus,
            described=self.described,
            networked=self.networked and self.described,
            network=self.plans[-1].digest if self.plans else None,
        )


class Machines:
    def __init__(self, folder: Path, names: Iterable[str] = ("node-a", "node-b")) -> None:
        self.hosts = {name: Host(name, folder / name) for name in names}
        self.reservations: dict[tuple[JobUid, int], tuple[str, ...]] = {}

    def lose(self, host: str) -> None:
        """It leaves the cluster; what runs there goes on unseen."""
        self.hosts[host].here.clear()
        self.hosts[host].gone.set()

    def bring_back(self, host: str) -> None:
        self.hosts[host].gone.clear()
        self.hosts[host].here.set()

    def switch_runtime(self, host: str, *, on: bool) -> None:
        """The daemon of that machine stops answering, or answers again."""
        down = self.hosts[host].folder / "down"
        down.parent.mkdir(parents=True, exist_ok=True)
        down.unlink(missing_ok=True) if on else down.touch()

    def restart_cluster(self) -> None:
        """Ray is restarted: reservations and actors are forgotten, workloads go on."""
        self.reservations.clear()
        for host in self.hosts.values():
            host.restart_actors()

    def end_task(self, host: str, name: str) -> None:
        """Its program is killed by something that is not ours."""
        files = TaskFiles(self.hosts[host].folder)
        task = files.get(name)
        assert task is not None
        files.mark(TaskId(name, task.incarnation), "kill_at", time.time())

    async def tasks(self) -> list[tuple[str, str]]:
        """Host and incarnation of every task that exists, running or ended."""
        return [
            (host.name, found.id.incarnation)
            for host in self.hosts.values()
            for found in await host.driver.list_tasks(PROVIDER)
        ]

    async def running(self) -> list[str]:
        """Incarnations of the tasks that run."""
        return [
            found.id.incarnation
            for host in self.hosts.values()
            for found in await host.driver.list_tasks(PROVIDER)
            if (await host.driver.inspect(TaskHandle("scripted", found.id))).state is TaskState.RUNNING
        ]


class LocalCluster:
    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.calls: list[tuple[Any, ...]] = []
        """Method and what it was about, in the order of the calls."""
        self.unavailable = False
        self.full = False
        """Placements are refused although there is room."""
        self.broken: dict[str, Exception] = {}
        """Method to what it raises."""
        self._held: dict[str, asyncio.Event] = {}
        self._placed_here: set[tuple[JobUid, int]] = set()

    def hold(self, *methods: str) -> None:
        """Calls of these get no further until `let_go`."""
        for method in methods:
            self._held[method] = asyncio.Event()

    def let_go(self, *methods: str) -> None:
        for method in methods:
            self._held.pop(method).set()

    def called(self, method: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == method]

    # ---------------------------------------------------------------------------------------------- the port

    async def nodes(self) -> list[Node]:
        await self._enter("nodes", record=False)
        return [host.node() for host in self.machines.hosts.values()]

    async def place(self, request: PlacementRequest) -> None:
        await self._enter("place", request.uid, request.incarnation, request.hosts)
        if self.full or any(not self.machines.hosts[host].here.is_set() for host in request.hosts):
            raise NoRoomNow("no room")
        self.machines.reservations[request.uid, request.incarnation] = request.hosts
        self._placed_here.add((request.uid, request.incarnation))

    async def keep_only(self, reservations: Mapping[JobUid, int]) -> None:
        await self._enter("keep_only", dict(reservations))
        kept = set(reservations.items()) | self._placed_here
        for key in [key for key in self.machines.reservations if key not in kept]:
            del self.machines.reservations[key]

    async def release(self, uid: JobUid, incarnation: int) -> None:
        await self._enter("release", uid, incarnation)
        for key in [key for key in self.machines.reservations if key[0] == uid and key[1] <= incarnation]:
            del self.machines.reservations[key]

    async def list_tasks(self, host: str, provider_id: str) -> list[tuple[Backend, FoundTask]]:
        await self._enter("list_tasks", host, record=False)
        machine = self.machines.hosts[host]
        if machine.gone.is_set():
            raise HostGone(f"{host} is not in the cluster at the moment")
        return [(Backend.DOCKER, task) for task in await machine.driver.list_tasks(provider_id)]

    async def prepare_and_start(self, host: str, backend: Backend, spec: TaskSpec) -> Started:
        await self._enter("start", host, spec.id)
        return await self._on(host, lambda desk: desk.launch("scripted", spec))

    async def progress(self, host: str, backend: Backend, id: TaskId) -> Progress | None:
        self.calls.append(("progress", host, id))
        return self.machines.hosts[host].desk.progress("scripted", id)

    async def recover(self, host: str, backend: Backend, id: TaskId) -> TaskHandle:
        await self._enter("recover", host, id)
        return await self._on(host, lambda desk: desk.recover("scripted", id))

    async def wait(self, host: str, backend: Backend, handle: TaskHandle) -> ExitResult:
        await self._enter("wait", host, handle.id)
        return await self._on(host, lambda desk: desk.wait("scripted", handle))

    async def waiting(self) -> int:
        return sum(host.desk.waiting for host in self.machines.hosts.values())

    async def stop(self, host: str, backend: Backend, handle: TaskHandle, grace_seconds: float) -> None:
        await self._enter("stop", host, handle.id, grace_seconds)
        await self._on(host, lambda desk: desk.stop("scripted", handle, grace_seconds))

    async def destroy(self, host: str, backend: Backend, id: TaskId) -> None:
        await self._enter("destroy", host, id)
        await self._on(host, lambda desk: desk.destroy("scripted", id))

    async def apply_network(self, host: str, plan: NetworkPlan) -> None:
        """Not among the calls: a machine gets its first plan when it is seen, whatever the jobs."""
        await self._enter("apply_network", record=False)
        machine = self.machines.hosts[host]
        if machine.gone.is_set():
            raise HostGone(f"{host} is not in the cluster at the moment")
        machine.plans.append(plan)

    async def set_hosts(self, host: str, backend: Backend, id: TaskId, hosts: Mapping[str, str]) -> None:
        await self._enter("set_hosts", host, id, dict(hosts))
        await self._on(host, lambda desk: desk.recover("scripted", id))  # raises if there is none
        self.machines.hosts[host].names[id] = dict(hosts)

    # -------------------------------------------------------------------------------------------- internal

    async def _enter(self, method: str, *about: Any, record: bool = True) -> None:
        if record:
            self.calls.append((method, *about))
        if (held := self._held.get(method)) is not None:
            await held.wait()
        if self.unavailable:
            raise ClusterUnavailable("the cluster does not answer")
        if method in self.broken:
            raise self.broken[method]

    async def _on(self, host: str, call: Callable[[TaskDesk], Awaitable[Result]]) -> Result:
        """Ask the desk of a machine, or learn that the machine left meanwhile."""
        machine = self.machines.hosts[host]
        if machine.gone.is_set():
            raise HostGone(f"{host} is not in the cluster at the moment")
        answer = asyncio.ensure_future(call(machine.desk))
        gone = asyncio.ensure_future(machine.gone.wait())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if machine.gone.is_set():
                raise HostGone(f"{host} is not in the cluster at the moment")
            return answer.result()
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
