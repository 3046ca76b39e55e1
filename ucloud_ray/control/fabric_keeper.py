"""Puts the fabric in force: network plans on machines, hosts files of running ranks. Used by the performer.

    start of a rank ──▶ `ready`: the plans of all machines concerned are in force, then it may start
    a job's tasks are gone ──▶ `revoke`: the plans without it are, or their machines do not answer
    all the time ──▶ `run`: what is in force on a machine is what should be; what a rank knows is what is true

Nothing is decided here that a restart could lose: plans follow from the live jobs, and a machine tells which one is in
force. A job with one rank and no peers costs a look into two dictionaries and no call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import structlog

from runtimes.errors import DriverError
from runtimes.network.plan import NetworkPlan
from ucloud_ray.control import fabric
from ucloud_ray.control.addresses import Addresses
from ucloud_ray.control.fabric import Ground, Links, Machine
from ucloud_ray.control.ports import Cluster, ClusterUnavailable, HostGone, Node
from ucloud_ray.control.task_spec import task_id
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend, Job, PeerRequest, Rank

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often machines are looked at without being woken: they come, go and forget."""

TELL_SECONDS = 5.0
"""How long a start waits for its peers to be told its names; they can be reached by then in any case."""

LONGEST_PAUSE_SECONDS = 10.0
"""Between two attempts at a machine that does not take its plan."""

SETTLE_SECONDS = 15.0
"""How long plans wait for every machine to speak after a restart."""

UNANSWERED = (ClusterUnavailable, DriverError)
"""A machine does not do what it is told at the moment."""


class FabricKeeper:
    def __init__(self, cluster: Cluster, addresses: Addresses, ground: Ground, patience: float) -> None:
        """`patience`: for how many seconds a machine that does not take its plan holds up the end of a job."""
        self._cluster = cluster
        self._addresses = addresses
        self._ground = ground
        self._patience = patience
        self._links = Links()
        self._machines: dict[str, Machine] = {}
        self._in_force: dict[str, str | None] = {}
        """Machine that can have a network now, to the digest of its plan."""
        self._plans: dict[str, NetworkPlan] = {}
        """What should be in force; made anew when it is asked for after a change."""
        self._digests: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._told: dict[JobUid, dict[tuple[int, int], Mapping[str, str]]] = {}
        """What each rank's hosts file says, by incarnation and rank, as far as we know."""
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._begun = time.monotonic()
        self._settled = False
        self._present: set[str] = set()
        """Machines that are in the cluster."""
        self._names_may_be_wrong = True

    def note(self, job: Job) -> None:
        """After every change of a job, and once for each that was loaded, before anything else is asked."""
        if self._links.update(job):
            self._plans.clear()
            self._names_may_be_wrong = True
            self._wake.set()
        if not fabric.has_addresses(job):
            self._told.pop(job.uid, None)

    # -------------------------------------------------------------------------------------------- what jobs ask for

    def names(self, job: Job, rank: int) -> Mapping[str, str]:
        """The hosts file of a rank that is about to start."""
        if not fabric.has_addresses(job) or not self._links.connected(job):
            return {}
        names = self._links.names(job, rank)
        self._told.setdefault(job.uid, {})[job.incarnation, rank] = names
        return names

    def missing(self, job: Job) -> list[PeerRequest]:
        """Peers that lead nowhere (ENV-49)."""
        return self._links.missing(job)

    async def ready(self, job: Job, host: str) -> None:
        """Return once a rank of the job may start on that machine: everybody that it may talk to can be reached.

        Raises `HostGone` for that machine, `ClusterUnavailable` while another one of the job's own does not answer.
        """
        if not fabric.has_addresses(job):
            return
        if not self._links.connected(job):
            if self._in_force.get(host) is None:
                await self._put(host)
            return
        others = {rank.host for rank in job.ranks} - {host}
        try:
            await asyncio.gather(*(self._put(other) for other in others))
        except HostGone as problem:  # its own rank finds out whether it is lost
            raise ClusterUnavailable(str(problem)) from problem
        await self._put(host)
        with contextlib.suppress(TimeoutError):  # names that were not told are told by the next round
            async with asyncio.timeout(TELL_SECONDS):
                await self._tell(self._links.others(job))

    async def revoke(self, job: Job) -> None:
        """The job's tasks are over: nobody may talk to its addresses any more (ENV-57).

        Returns after `patience` seconds at the latest; a machine that did not answer by then is told when it does.
        """
        if job.spec.backend is not Backend.DOCKER or not self._links.connected(job):
            return
        others = self._links.others(job)
        hosts = {rank.host for one in (job, *others) for rank in one.ranks}
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.gather(self._tell(others), *(self._until_put(host) for host in hosts))
        except TimeoutError:
            log.warning("a machine still lets a job's addresses through", job=job.id, hosts=sorted(hosts))

    # --------------------------------------------------------------------------------------------------- all the time

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            self._wake.clear()
            try:
                await self._look()
                self._put_right()
            except ClusterUnavailable as problem:
                log.info("the machines are not known at the moment", problem=str(problem))
            except Exception:  # whatever it is: without this loop no machine that comes back is ever reached
                log.exception("a round of the fabric failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):  # unlike wait_for it never swallows a cancellation
                    await self._wake.wait()

    async def close(self) -> None:
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _put_right(self) -> None:
        for host, mark in self._in_force.items():
            if mark != self._digest(host):
                self._spawn(f"network of {host}", self._until_put(host))
        if self._names_may_be_wrong and "names" not in self._busy:
            self._names_may_be_wrong = False
            known = (self._links.get(uid) for uid in list(self._told))
            jobs = {job.uid: job for job in (*self._links.all_connected(), *known) if job is not None}
            self._spawn("names", self._tell(jobs.values()))

    async def _look(self) -> None:
        """Take over what the machines say. Raises `ClusterUnavailable`."""
        nodes = [node for node in await self._cluster.nodes() if node.alive]
        able = [node for node in nodes if node.networked and self._addresses.subnet(node.host)]
        self._settled = self._settled or self._all_spoke(nodes)
        self._present = {node.host for node in nodes}
        self._in_force = {node.host: node.network for node in able}
        machines = self._machines | {node.host: self._machine(node) for node in able}
        if machines != self._machines:
            self._machines = machines
            self._plans.clear()

    def _all_spoke(self, nodes: Sequence[Node]) -> bool:
        """Not before: a plan that is made after a restart must not leave out a machine that has not spoken yet."""
        return all(node.described for node in nodes) or time.monotonic() - self._begun > SETTLE_SECONDS

    def _machine(self, node: Node) -> Machine:
        subnet = self._addresses.subnet(node.host)
        assert subnet is not None, "only machines with a subnet are asked for"
        bridges = IPv4Network(self._ground.network.range)
        own = (address for address in node.own_addresses if IPv4Address(address) not in bridges)
        return Machine(subnet, node.address, tuple(sorted(own)))

    # --------------------------------------------------------------------------------------------------------- plans

    async def _put(self, host: str) -> None:
        """Have the present plan in force on that machine. Raises `HostGone`, `ClusterUnavailable`."""
        if host not in self._in_force:
            await self._look()
        async with self._locks.setdefault(host, asyncio.Lock()):
            self._require(host)
            plan = self._plan(host)
            if self._in_force[host] != plan.digest:
                await self._apply(host, plan)

    async def _until_put(self, host: str) -> None:
        """A machine that is away has nothing in force that matters, and gets its plan when it is back."""
        pause = LOOK_SECONDS
        while True:
            try:
                await self._put(host)
            except HostGone:
                return
            except ClusterUnavailable as problem:
                log.info("a machine does not take its network plan yet", host=host, problem=str(problem))
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _require(self, host: str) -> None:
        if host not in self._present:
            raise HostGone(f"{host} is not in the cluster at the moment")
        if host not in self._in_force:
            raise ClusterUnavailable(f"{host} has no network at the moment")
        if not self._settled:
            raise ClusterUnavailable("not all machines have described themselves yet")

    async def _apply(self, host: str, plan: NetworkPlan) -> None:
        try:
            await self._cluster.apply_network(host, plan)
        except DriverError as problem:
            raise ClusterUnavailable(f"the network of {host}: {problem}") from problem
        if host in self._in_force:
            self._in_force[host] = plan.digest

    def _plan(self, host: str) -> NetworkPlan:
        if not self._plans:
            pairs = self._links.pairs()
            for one in self._machines:
                self._plans[one] = fabric.plan(one, self._machines, pairs.get(one, ()), self._ground)
                self._digests[one] = self._plans[one].digest
        return self._plans[host]

    def _digest(self, host: str) -> str:
        self._plan(host)
        return self._digests[host]

    # --------------------------------------------------------------------------------------------------------- names

    async def _tell(self, jobs: Iterable[Job]) -> None:
        await asyncio.gather(*(self._tell_rank(job, rank) for job in jobs for rank in self._untold(job)))

    def _untold(self, job: Job) -> list[Rank]:
        """The running ranks whose hosts file is not known to be right.

        After a restart nothing is known. Then a job that was never connected with another one has the file that it
        started with, and every other one is told again.
        """
        told = self._told.get(job.uid, {})
        if not told and not self._links.others(job) and not job.spec.launch.peers:
            return []
        live = self._links.get(job.uid)
        running = [rank for rank in (live or job).ranks if rank.started and not rank.over]
        return [rank for rank in running if told.get((job.incarnation, rank.rank)) != self._links.names(job, rank.rank)]

    async def _tell_rank(self, job: Job, rank: Rank) -> None:
        names = self._links.names(job, rank.rank)
        task = task_id(job, rank.rank)
        try:
            await self._cluster.set_hosts(rank.host, job.spec.backend, task, names)
        except UNANSWERED as problem:  # it may be ending; the next round tries again if it is not
            log.info("a rank was not told the names of its peers", job=job.id, rank=rank.rank, problem=str(problem))
            self._names_may_be_wrong = True
            return
        if fabric.has_addresses(self._links.get(job.uid) or job):
            self._told.setdefault(job.uid, {})[job.incarnation, rank.rank] = names

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Once at a time per name."""
        if name in self._busy:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._busy[name] = task
        task.add_done_callback(lambda _: self._busy.pop(name, None))
