"""Which machines the cluster has, what they sell and what can run there: a picture that is renewed every second.

A machine is known by our label (D7). Its agent tells what works on it; Ray tells whether it is there and what it sells.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray
import structlog

from runtimes.network.plan import NetworkPlan
from runtimes.types import FoundTask
from ucloud_ray.cluster import calls, names
from ucloud_ray.cluster.agent import Described, NodeAgent
from ucloud_ray.cluster.factories import ClusterSettings
from ucloud_ray.control.ports import ClusterUnavailable, HostGone, Node
from ucloud_ray.domain.job import Backend

log = structlog.get_logger(__name__)

RENEW_SECONDS = 1.0
DESCRIBE_EVERY = 5
"""Rounds between two questions to an agent."""

DESCRIBE_SECONDS = 10.0
LIST_SECONDS = 60.0
APPLY_SECONDS = 30.0
FIRST_PICTURE_SECONDS = 20.0


class Nodes:
    def __init__(self, settings: ClusterSettings, relay_key: bytes, host_lost: Callable[[str], None]) -> None:
        self._settings = settings
        self._relay_key = relay_key
        self._host_lost = host_lost
        self._raylets: dict[str, dict[str, Any]] = {}
        self._described: dict[str, Described] = {}
        self._agents: dict[str, Any] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._applying: dict[str, int] = {}
        """How often a plan was sent to each machine."""
        self._gone: dict[str, asyncio.Future[None]] = {}
        self._answers = True

    @property
    def hosts(self) -> list[str]:
        """Machines that are in the cluster now."""
        return list(self._raylets)

    def picture(self) -> list[Node]:
        """Raises `ClusterUnavailable` while Ray does not tell its nodes."""
        if not self._answers:
            raise ClusterUnavailable("Ray does not tell its nodes")
        return [self._node(host) for host in self._raylets]

    def gone(self, host: str) -> asyncio.Future[None]:
        """Done when, or as soon as, this machine is not in the cluster."""
        future = self._gone.get(host)
        if future is None or (future.done() and host in self._raylets):
            future = self._gone[host] = asyncio.get_running_loop().create_future()
            if host not in self._raylets:
                future.set_result(None)
        return future

    async def first_picture(self) -> None:
        """Look until at least one machine has described itself, at most 20 s."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FIRST_PICTURE_SECONDS
        while not self._described and loop.time() < deadline:
            await self.renew(ask=True)
            if self._asking:
                await asyncio.wait(list(self._asking.values()), timeout=deadline - loop.time())
            elif not self._described:
                await asyncio.sleep(RENEW_SECONDS)

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        for turn in range(10**12):
            await self.renew(ask=turn % DESCRIBE_EVERY == 0)
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self, ask: bool) -> None:
        try:
            listed = await asyncio.to_thread(ray.nodes)
        except Exception as problem:  # Ray raises its own and grpc's errors here; all mean the same
            self._answers = False
            log.warning("Ray does not tell its nodes", problem=str(problem))
            return
        self._answers = True
        ours = (node for node in listed if node["Alive"] and names.HOST_LABEL in node["Labels"])
        self._take_over({node["Labels"][names.HOST_LABEL]: node for node in ours})
        for host in self._raylets:
            if (ask or host not in self._described) and host not in self._asking:
                self._ask(host)

    def _take_over(self, raylets: dict[str, dict[str, Any]]) -> None:
        restarted = {h for h in raylets if h in self._raylets and self._raylets[h]["NodeID"] != raylets[h]["NodeID"]}
        lost = (set(self._raylets) - set(raylets)) | restarted
        self._raylets = raylets
        for host in lost:
            self._described.pop(host, None)
            self._agents.pop(host, None)
            if (future := self._gone.pop(host, None)) is not None and not future.done():
                future.set_result(None)
            self._host_lost(host)

    async def apply_network(self, host: str, plan: NetworkPlan) -> None:
        """Raises driver errors, `ClusterUnavailable`, `HostGone`."""
        if host not in self._raylets:
            raise HostGone(f"{host} is not in the cluster at the moment")
        agent = self._agents.get(host) or self._agent(host)
        self._applying[host] = self._applying.get(host, 0) + 1
        await calls.answer(
            agent.apply_network.remote(plan), gone=self.gone(host), timeout=APPLY_SECONDS, what=f"the network of {host}"
        )
        if (described := self._described.get(host)) is not None:
            self._described[host] = replace(described, network_plan=plan.digest)

    async def list_tasks(self, host: str, provider_id: str) -> list[tuple[str, FoundTask]]:
        """Driver and task, of the drivers that work there. Raises driver errors, `ClusterUnavailable`, `HostGone`."""
        if host not in self._raylets:
            raise HostGone(f"{host} is not in the cluster at the moment")
        if (described := self._described.get(host)) is None:
            raise ClusterUnavailable(f"{host} has not told yet what works there")
        working = tuple(name for name, answer in described.drivers.items() if answer.available)
        agent = self._agents.get(host) or self._agent(host)
        reference = agent.list_tasks.remote(working, provider_id)
        found: list[tuple[str, FoundTask]] = await calls.answer(
            reference, gone=self.gone(host), timeout=LIST_SECONDS, what=f"the tasks of {host}"
        )
        return found

    def _ask(self, host: str) -> None:
        task = asyncio.create_task(self._describe(host), name=f"describe {host}")
        self._asking[host] = task
        task.add_done_callback(lambda _: self._asking.pop(host, None))

    async def _describe(self, host: str) -> None:
        applying = self._applying.get(host, 0)
        try:
            agent = self._agents.get(host) or self._agent(host)
            described = await calls.answer(
                agent.describe.remote(), gone=self.gone(host), timeout=DESCRIBE_SECONDS, what=f"agent of {host}"
            )
        except ClusterUnavailable as problem:
            log.warning("a machine does not describe itself", host=host, problem=str(problem))
            self._described.pop(host, None)
        else:
            self._agents[host] = agent
            if applying != self._applying.get(host, 0) and host in self._described:
                # It was asked before a plan was put in force that we know of.
                described = replace(described, network_plan=self._described[host].network_plan)
            self._described[host] = described

    def _agent(self, host: str) -> Any:
        name = f"{names.AGENT_PREFIX}{host}"
        with contextlib.suppress(ValueError):  # none there yet
            return ray.get_actor(name)
        return (
            ray.remote(NodeAgent)
            .options(
                name=name,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=-1,
                max_concurrency=1000,
                label_selector={names.HOST_LABEL: host},
            )
            .remote(host, self._settings, self._relay_key)
        )

    def _node(self, host: str) -> Node:
        raylet, described = self._raylets[host], self._described.get(host)
        able, problems = self._abilities(described)
        return Node(
            host=host,
            address=raylet["NodeManagerAddress"],
            alive=True,
            backends=able,
            capacity=names.capacity(raylet["Resources"]),
            problems=problems,
            relay=described.relay if described else None,
            described=described is not None,
            networked=described is not None and described.network.available,
            network=described.network_plan if described else None,
            gpus=names.gpus(raylet["Resources"], raylet["Labels"]),
            own_addresses=described.addresses if described else (),
        )

    def _abilities(self, described: Described | None) -> tuple[frozenset[Backend], dict[str, str]]:
        if described is None:
            return frozenset(), {"agent": "the machine has not described itself yet"}
        works = {name for name, answer in described.drivers.items() if answer.available}
        able = frozenset(b for b, driver in self._settings.driver_for_backend if driver in works)
        answers = described.drivers | {"network": described.network}
        return able, {name: answer.reason for name, answer in answers.items() if not answer.available}
