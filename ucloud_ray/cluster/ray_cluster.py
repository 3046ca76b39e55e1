"""The `Cluster` port on Ray: placement groups, leased replica actors, node agents. Lives with the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from runtimes.network.plan import NetworkPlan
from runtimes.types import ExitResult, FoundTask, Progress, TaskHandle, TaskId, TaskSpec
from ucloud_ray.cluster import calls
from ucloud_ray.cluster.factories import ClusterSettings
from ucloud_ray.cluster.nodes import Nodes
from ucloud_ray.cluster.placements import SPARE_SECONDS, Placements
from ucloud_ray.cluster.pool import Pool
from ucloud_ray.control.ports import ClusterUnavailable, HostGone, Node, PlacementRequest, Started
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend

Result = TypeVar("Result")

DESTROY_SECONDS = 60.0
PROGRESS_SECONDS = 2.0
HOSTS_SECONDS = 20.0
WARM_SECONDS = 5.0


class RayCluster:
    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._pool = Pool(settings)
        self._placements = Placements()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="placement")
        self._nodes: Nodes | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self, relay_key: bytes) -> None:
        """Take over what an earlier supervisor left, and get a first picture of the machines."""
        self._nodes = Nodes(self._settings, relay_key, self._host_lost)
        await self._pool.adopt()
        await self._nodes.first_picture()
        self._background.append(asyncio.create_task(self._nodes.run(), name="nodes"))
        self._background.append(asyncio.create_task(self._keep_warm(), name="warm actors"))
        self._background.append(asyncio.create_task(self._drop_spares(), name="spare placements"))

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        self._thread.shutdown(wait=False)

    async def nodes(self) -> list[Node]:
        return self._known.picture()

    async def place(self, request: PlacementRequest) -> None:
        await self._in_thread(lambda: self._placements.reserve(request))

    async def release(self, uid: JobUid, incarnation: int) -> None:
        await self._in_thread(lambda: self._placements.release(uid, incarnation))

    async def keep_only(self, reservations: Mapping[JobUid, int]) -> None:
        await self._in_thread(lambda: self._placements.keep_only(reservations))

    async def prepare_and_start(self, host: str, backend: Backend, spec: TaskSpec) -> Started:
        driver = self._settings.driver(backend)
        actor = await self._actor(host, spec.id)
        started: Started = await self._answer(host, actor.launch.remote(driver, spec), "the start")
        return started

    async def progress(self, host: str, backend: Backend, id: TaskId) -> Progress | None:
        actor = self._pool.serving(id)
        if actor is None:
            return None
        try:
            reference = actor.progress.remote(self._settings.driver(backend), id)
            told: Progress | None = await self._answer(host, reference, "the progress", timeout=PROGRESS_SECONDS)
        except ClusterUnavailable:
            return None
        return told

    async def recover(self, host: str, backend: Backend, id: TaskId) -> TaskHandle:
        actor = await self._actor(host, id)
        handle: TaskHandle = await self._answer(
            host, actor.recover.remote(self._settings.driver(backend), id), "recover"
        )
        return handle

    async def wait(self, host: str, backend: Backend, handle: TaskHandle) -> ExitResult:
        actor = await self._actor(host, handle.id)
        reference = actor.wait.remote(self._settings.driver(backend), handle)
        result: ExitResult = await self._answer(host, reference, "waiting for the end")
        return result

    async def waiting(self) -> int:
        return await self._pool.waiting()

    async def stop(self, host: str, backend: Backend, handle: TaskHandle, grace_seconds: float) -> None:
        actor = await self._actor(host, handle.id)
        reference = actor.stop.remote(self._settings.driver(backend), handle, grace_seconds)
        await self._answer(host, reference, "the stop", timeout=grace_seconds + DESTROY_SECONDS)

    async def destroy(self, host: str, backend: Backend, id: TaskId) -> None:
        actor = await self._actor(host, id)
        reference = actor.destroy.remote(self._settings.driver(backend), id)
        await self._answer(host, reference, "the clean-up", timeout=DESTROY_SECONDS)
        self._pool.give_back(id)

    async def list_tasks(self, host: str, provider_id: str) -> list[tuple[Backend, FoundTask]]:
        found = await self._known.list_tasks(host, provider_id)
        backends = {driver: backend for backend, driver in self._settings.driver_for_backend}
        return [(backends[driver], task) for driver, task in found]

    async def apply_network(self, host: str, plan: NetworkPlan) -> None:
        await self._known.apply_network(host, plan)

    async def set_hosts(self, host: str, backend: Backend, id: TaskId, hosts: Mapping[str, str]) -> None:
        actor = await self._actor(host, id)
        reference = actor.set_hosts.remote(self._settings.driver(backend), id, hosts)
        await self._answer(host, reference, "changing the hosts file", timeout=HOSTS_SECONDS)

    @property
    def _known(self) -> Nodes:
        assert self._nodes is not None, "start first"
        return self._nodes

    async def _actor(self, host: str, task: TaskId) -> Any:
        if host not in self._known.hosts:
            raise HostGone(f"{host} is not in the cluster at the moment")
        return await self._pool.lease(host, task)

    async def _answer(self, host: str, reference: Any, what: str, timeout: float | None = None) -> Any:
        return await calls.answer(reference, gone=self._known.gone(host), timeout=timeout, what=f"{what} on {host}")

    def _host_lost(self, host: str) -> None:
        self._pool.drop_host(host)
        self._thread.submit(self._placements.drop_spares, 0.0)  # a spare one there is worth nothing now

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _drop_spares(self) -> None:
        while True:
            await asyncio.sleep(SPARE_SECONDS)
            with contextlib.suppress(ClusterUnavailable):
                await self._in_thread(self._placements.drop_spares)

    async def _keep_warm(self) -> None:
        while True:
            for host in self._known.hosts:
                self._pool.keep_warm(host)
            await asyncio.sleep(WARM_SECONDS)
