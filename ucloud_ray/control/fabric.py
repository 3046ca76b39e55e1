"""Who may talk to whom, and under which names (ENV-43, ENV-44, ENV-47 to ENV-52). Pure bookkeeping over live jobs.

Ranks of one job may talk to each other, and ranks of two jobs that were connected by a peer. Nothing else: that A is
connected with B and B with C says nothing of A and C. The result is one `NetworkPlan` per machine and the content of
every rank's hosts file. `fabric_keeper` puts them in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product

from runtimes.network.plan import Neighbour, NetworkPlan
from ucloud_ray.control.task_spec import replica_name
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import Backend, Ending, Job, Lingering, PeerRequest, Running, Starting
from ucloud_ray.settings import NetworkSettings

METADATA = ("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32")
"""Where clouds tell a machine its secrets: the link-local range, and what some of them use beside it."""

Pair = tuple[str, str]


class Links:
    """The live container jobs that have addresses, and which of them are connected."""

    def __init__(self) -> None:
        self._live: dict[JobUid, Job] = {}
        self._by_id: dict[JobId, JobUid] = {}
        self._asking: dict[JobId, set[JobUid]] = {}
        """Job to those that name it as their peer."""

    def update(self, job: Job) -> bool:
        """After every change of a job. Whether that changed who may talk to whom."""
        before = self._live.get(job.uid)
        if job.spec.backend is not Backend.DOCKER or (before is None and not has_addresses(job)):
            return False
        if before is not None and _place(before) == _place(job):
            self._live[job.uid] = job
            return False
        affected = self.connected(before or job)
        self._put(job) if has_addresses(job) else self._remove(job)
        return affected or self.connected(job)

    def _put(self, job: Job) -> None:
        self._live[job.uid] = job
        self._by_id[job.id] = job.uid
        for peer in job.spec.launch.peers:
            self._asking.setdefault(peer.job_id, set()).add(job.uid)

    def _remove(self, job: Job) -> None:
        del self._live[job.uid]
        if self._by_id.get(job.id) == job.uid:
            del self._by_id[job.id]
        for peer in job.spec.launch.peers:
            asking = self._asking[peer.job_id]
            asking.discard(job.uid)
            if not asking:
                del self._asking[peer.job_id]

    def get(self, uid: JobUid) -> Job | None:
        return self._live.get(uid)

    def connected(self, job: Job) -> bool:
        """Whether any rank of the job has anybody to talk to. Cheap: most jobs have nobody."""
        return job.spec.replicas > 1 or bool(job.spec.launch.peers) or job.id in self._asking

    def all_connected(self) -> list[Job]:
        return [job for job in self._live.values() if self.connected(job)]

    def servers(self, job: Job) -> list[tuple[str, Job]]:
        """Host name to the job behind it, for every peer of this job that is there."""
        found = ((peer.hostname, self._server(job, peer)) for peer in job.spec.launch.peers)
        return [(hostname, server) for hostname, server in found if server is not None]

    def missing(self, job: Job) -> list[PeerRequest]:
        """The peers that this job asked for in vain (ENV-49)."""
        return [peer for peer in job.spec.launch.peers if self._server(job, peer) is None]

    def guests(self, job: Job) -> list[Job]:
        """The jobs that have this one as their peer."""
        asking = [self._live[uid] for uid in sorted(self._asking.get(job.id, ()))]
        return [guest for guest in asking if _may_reach(guest, job)]

    def others(self, job: Job) -> list[Job]:
        """Every job that this one is connected with."""
        both = [*(server for _, server in self.servers(job)), *self.guests(job)]
        return list({other.uid: other for other in both}.values())

    def _server(self, job: Job, peer: PeerRequest) -> Job | None:
        uid = self._by_id.get(peer.job_id)
        server = self._live.get(uid) if uid is not None else None
        return server if server is not None and _may_reach(job, server) else None

    # ------------------------------------------------------------------------------------------------ what follows

    def names(self, job: Job, rank: int) -> dict[str, str]:
        """What the hosts file of this rank says beside its own name: the other ranks, then the jobs that it is
        connected with, each rank of them, and the names that it asked for, which lead to rank 0 (ENV-47, ENV-48)."""
        names = {name: address for other, (name, address) in enumerate(_names(job)) if other != rank}
        for other_job in self.others(job):
            names |= dict(_names(other_job))
        for hostname, server in self.servers(job):
            names[hostname] = _addresses(server)[0]
        return names

    def pairs(self) -> dict[str, set[Pair]]:
        """Machine to the pairs of which at least one is there."""
        by_host: dict[str, set[Pair]] = {}
        for job in self.all_connected():
            for one, other in self._pairs_of(job):
                pair = (one.address, other.address) if one.address < other.address else (other.address, one.address)
                by_host.setdefault(one.host, set()).add(pair)
                by_host.setdefault(other.host, set()).add(pair)
        return by_host

    def _pairs_of(self, job: Job) -> Iterator[tuple[_End, _End]]:
        ends = _ends(job)
        yield from combinations(ends, 2)
        for _, server in self.servers(job):
            yield from product(ends, _ends(server))


@dataclass(frozen=True, slots=True)
class _End:
    host: str
    address: str


def has_addresses(job: Job) -> bool:
    """Whether the job has containers now, or is about to, that have a network."""
    live = isinstance(job.phase, Starting | Running | Lingering | Ending)
    return live and job.spec.backend is Backend.DOCKER and all(rank.address is not None for rank in job.ranks)


def _may_reach(guest: Job, server: Job) -> bool:
    """Of one workspace, whatever the Core allowed; and not a later job that was given the id of the one meant (O3)."""
    return (
        guest.uid != server.uid
        and guest.spec.owner.workspace == server.spec.owner.workspace
        and server.created_at <= guest.created_at
    )


def _place(job: Job) -> tuple[bool, int]:
    return has_addresses(job), job.incarnation


def _ends(job: Job) -> list[_End]:
    return [_End(rank.host, rank.address) for rank in job.ranks if rank.address is not None]


def _addresses(job: Job) -> list[str]:
    return [end.address for end in _ends(job)]


def _names(job: Job) -> list[Pair]:
    return [(replica_name(job.id, rank), address) for rank, address in enumerate(_addresses(job))]


# ------------------------------------------------------------------------------------------------------- plans


@dataclass(frozen=True, slots=True)
class Machine:
    """What plans must know of a machine with a network. Kept while it is away, so that its absence changes none."""

    subnet: str
    address: str
    own_addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What is the same for all machines, from the configuration."""

    name: str = "ucloud"
    """`NetworkPlan.name`."""
    vxlan_id: int = 8383
    network: NetworkSettings = field(default_factory=NetworkSettings)
    denied: tuple[str, ...] = METADATA
    """Without the machines, which are added."""


def plan(host: str, machines: Mapping[str, Machine], pairs: Iterable[Pair], ground: Ground) -> NetworkPlan:
    """Everything about the network of one machine. The same input gives the same plan, whatever its order."""
    own = {address for machine in machines.values() for address in (machine.address, *machine.own_addresses)}
    return NetworkPlan(
        name=ground.name,
        subnet=machines[host].subnet,
        range=ground.network.range,
        between=ground.network.between,
        neighbours=tuple(
            Neighbour(machine.subnet, machine.address) for other, machine in sorted(machines.items()) if other != host
        ),
        pairs=tuple(sorted(pairs)),
        outbound=ground.network.outbound,
        denied=tuple(sorted({*ground.denied, *ground.network.denied, *own})),
        address=machines[host].address if len(machines) > 1 else None,
        vxlan_id=ground.vxlan_id,
    )
