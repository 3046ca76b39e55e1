"""Which address each replica gets, before it starts (D14). In memory; rebuilt from the jobs after a restart.

Every machine has a subnet of the cluster's range, by the number that the store gave it for ever: a machine that comes
back has the same one, and two never share one. A container gets an address of its machine's subnet; a process uses the
machine's own. Used by the scheduler, which puts the addresses into the grant, and by the fabric.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

import structlog

from ucloud_ray.control.ports import Node
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend, Job, JobSpec
from ucloud_ray.settings import NetworkSettings

log = structlog.get_logger(__name__)


Given = tuple[str, IPv4Address]
"""A machine and an address of its subnet."""


class NoAddressLeft(Exception):
    """A machine has room for the job, but no address."""


def needs_network(spec: JobSpec) -> bool:
    """Whether the job is of no use without a network: its containers have somebody to talk to."""
    return spec.backend is Backend.DOCKER and (spec.replicas > 1 or bool(spec.launch.peers))


@dataclass(slots=True)
class _Subnet:
    network: IPv4Network
    taken: set[IPv4Address] = field(default_factory=set)
    last: int = 1
    """Which was given last, counted from the network's own. The next one follows it, so that an address rests for as
    long as possible before it is given again; the first one is the bridge's."""


class Addresses:
    def __init__(self, settings: NetworkSettings, number_of: Callable[[str], Awaitable[int]]) -> None:
        """`number_of`: `JobStore.machine_number`."""
        self._on = settings.mode == "bridge"
        self._range = IPv4Network(settings.range)
        self._prefix = settings.node_prefix
        self._number_of = number_of
        self._subnets: dict[str, _Subnet] = {}
        self._of_job: dict[JobUid, list[Given]] = {}

    async def learn(self, nodes: Iterable[Node]) -> None:
        """Give a subnet to each machine that can have a network and has none yet."""
        for node in nodes:
            if self._on and node.networked and node.host not in self._subnets:
                await self._learn(node.host)

    async def adopt(self, job: Job) -> None:
        """After a restart: what a job that runs has is taken."""
        for rank in job.ranks:
            if self._on and rank.host not in self._subnets:
                await self._learn(rank.host)
            if rank.address is not None:
                self._take(job.uid, rank.host, IPv4Address(rank.address))

    def subnet(self, host: str) -> str | None:
        """As `10.83.2.0/24`; None for a machine that has none."""
        found = self._subnets.get(host)
        return None if found is None else str(found.network)

    def knows(self, node: Node) -> bool:
        """Whether containers there have a network."""
        return node.networked and node.host in self._subnets

    def serves(self, node: Node) -> bool:
        """Whether the next container there gets an address."""
        if not self.knows(node):
            return False
        subnet = self._subnets[node.host]
        return len(subnet.taken) < _size(subnet.network)

    def take(self, uid: JobUid, backend: Backend, nodes: Sequence[Node]) -> tuple[str | None, ...]:
        """Address of rank i on machine i. Raises `NoAddressLeft` with nothing taken."""
        if backend is Backend.NATIVE:
            return tuple(node.address for node in nodes)
        if backend is not Backend.DOCKER:
            return (None,) * len(nodes)
        try:
            return tuple(self._next(uid, node) for node in nodes)
        except NoAddressLeft:
            self.give_back(uid)
            raise

    def give_back(self, uid: JobUid, keep: frozenset[str] = frozenset()) -> list[Given]:
        """The job's containers are gone, except perhaps those on the machines to `keep`: those addresses stay taken,
        and are returned for a later `free`."""
        given = self._of_job.pop(uid, [])
        kept = [(host, address) for host, address in given if host in keep]
        self.free([one for one in given if one not in kept])
        return kept

    def free(self, given: Iterable[Given]) -> None:
        """No container has them any more."""
        for host, address in given:
            self._subnets[host].taken.discard(address)

    async def _learn(self, host: str) -> None:
        """Raises what the store raises."""
        network = _subnet(self._range, self._prefix, await self._number_of(host))
        if network is None:
            log.error("the range has no subnet left for this machine; see network.range", host=host)
        else:
            self._subnets[host] = _Subnet(network)

    def _next(self, uid: JobUid, node: Node) -> str | None:
        if not self.knows(node):
            return None
        subnet = self._subnets[node.host]
        size = _size(subnet.network)
        for step in range(1, size + 1):
            last = 2 + (subnet.last - 2 + step) % size
            address = subnet.network[last]
            if address not in subnet.taken:
                subnet.last = last
                self._take(uid, node.host, address)
                return str(address)
        raise NoAddressLeft(f"{node.host} has no address left")

    def _take(self, uid: JobUid, host: str, address: IPv4Address) -> None:
        """A process has the machine's own address, and a container of an older configuration one of another range."""
        subnet = self._subnets.get(host)
        if subnet is not None and address in subnet.network:
            subnet.taken.add(address)
            self._of_job.setdefault(uid, []).append((host, address))


def _subnet(range: IPv4Network, prefix: int, number: int) -> IPv4Network | None:
    """The subnet of this number, counted from the beginning of the range; None if it lies outside."""
    size = 2 ** (32 - prefix)
    if (number + 1) * size > range.num_addresses:
        return None
    return IPv4Network((int(range.network_address) + number * size, prefix))


def _size(network: IPv4Network) -> int:
    """Addresses for containers: less the network's own, the bridge's and the broadcast's."""
    return network.num_addresses - 3
