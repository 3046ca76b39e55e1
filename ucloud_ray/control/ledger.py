"""The books of the scheduler: what each machine sells of each category, what is occupied of it, and who has which GPU.

Amounts are integers: thousandths of a core, bytes, whole GPUs (SCH-2). Kept incrementally, so that a placement costs
the same whether ten or ten thousand jobs run. This is the one view of what is free (SCH-8): Ray is asked to agree.

A machine that is away for less than the grace is awaited (D4): what it can do still counts where it is asked what can
be done here at all, and so it is after a restart with those that were here before, until each has said what it can do.

GPUs are booked by name, so that none is ever given to two jobs (SCH-21). A device is free only if nobody in these books
has it and nothing left over on its machine uses it; until a machine was searched for leftovers it gives none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ucloud_ray.control.addresses import Addresses, needs_network
from ucloud_ray.control.ports import Node
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Backend, JobSpec, Machine
from ucloud_ray.domain.products import Size, size_of

NOTHING = Size(0, 0, 0)

Devices = tuple[tuple[str, ...], ...]
"""Devices of rank i."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a placed job occupies."""

    machine: Machine
    hosts: tuple[str, ...]
    devices: Devices = ()


class Ledger:
    def __init__(self, addresses: Addresses | None = None) -> None:
        self._addresses = addresses
        self._held: dict[JobUid, Holding] = {}
        self._used: dict[tuple[str, str], Size] = {}
        self._nodes: list[Node] = []
        self._seen: dict[str, Node] = {}
        self._devices: dict[str, set[str]] = {}
        """Host to the devices that jobs have there."""
        self._leftover: dict[str, frozenset[str]] = {}
        """Host to the devices that leftovers use there; a host that was not searched yet is missing."""
        self._awaited: dict[str, float] = {}
        """Host to when it is not awaited any more (monotonic)."""
        self.patience = 0.0
        """How long a machine is awaited that is away, in seconds."""
        self.drained: dict[str, str] = {}
        """Machines that take no new replicas, and the operator's message (SCH-15)."""

    def __contains__(self, uid: JobUid) -> bool:
        return uid in self._held

    # ------------------------------------------------------------------------------------------------ machines

    @property
    def nodes(self) -> list[Node]:
        """As last seen."""
        return self._nodes

    @nodes.setter
    def nodes(self, nodes: list[Node]) -> None:
        self._await(node.host for node in self._nodes if node.alive)
        self._await(node.host for node in nodes if node.alive and node.host not in self._seen)
        self._nodes = nodes
        for node in nodes:
            if node.alive and node.described:
                self._awaited.pop(node.host, None)
        alive = {node.host: node for node in nodes if node.alive}
        # What cannot run there at this moment may be able to soon, but a machine that was never of use is not counted.
        self._seen.update({host: node for host, node in alive.items() if node.backends or host not in self._seen})
        for host in set(self._leftover) - set(alive):
            del self._leftover[host]  # what was left there meanwhile is unknown

    def expect(self, hosts: Iterable[str]) -> None:
        """After a restart: machines that were here before it."""
        self._await(hosts)

    def _await(self, hosts: Iterable[str]) -> None:
        self._awaited |= dict.fromkeys(hosts, time.monotonic() + self.patience)

    def may_return(self, category: str, backend: Backend) -> bool:
        """Whether a machine is awaited that ran jobs of this kind, or of which we do not know yet."""
        if self.awaits_strangers:
            return True
        awaited = [self._seen[host] for host in self._waited_for()]
        return any(category in node.capacity and backend in node.backends for node in awaited)

    @property
    def awaits_strangers(self) -> bool:
        """Whether machines are awaited that have not said since our start what they can do."""
        known = {host for host, node in self._seen.items() if node.described}
        return any(host not in known for host in self._waited_for())

    def _waited_for(self) -> list[str]:
        now = time.monotonic()
        return [host for host, until in self._awaited.items() if until > now]

    @property
    def unsearched(self) -> list[str]:
        """Machines that are here and were not searched for leftovers since they came."""
        return [node.host for node in self._nodes if node.alive and node.host not in self._leftover]

    def searched(self, host: str, leftover: Iterable[str]) -> None:
        """What was found there: the devices that tasks without a job still use."""
        self._leftover[host] = frozenset(leftover)

    def named(self, hosts: Iterable[str]) -> list[Node]:
        nodes = {node.host: node for node in self._nodes}
        return [nodes[host] for host in hosts]

    def able(self, spec: JobSpec) -> set[str]:
        """The machines on which a job can run at all: by its kind, and by the network that it needs (D14)."""
        return {node.host for node in self._nodes if spec.backend in node.backends and self._suits(node, spec)}

    def connects(self, node: Node) -> bool:
        """Whether containers on that machine have a network."""
        return self._addresses is not None and self._addresses.knows(node)

    def _suits(self, node: Node, spec: JobSpec) -> bool:
        """A container takes an address where there are any, and one that talks to others runs nowhere else."""
        if spec.backend is not Backend.DOCKER:
            return True
        if self._addresses is None or not self._addresses.knows(node):
            return not needs_network(spec)
        return self._addresses.serves(node)

    # ------------------------------------------------------------------------------------------------- booking

    def book(self, uid: JobUid, machine: Machine, hosts: tuple[str, ...], devices: Devices = ()) -> None:
        """Occupy; booking a job again replaces what it held."""
        self.cancel(uid)
        self._held[uid] = Holding(machine, hosts, devices)
        self._change(machine, hosts, size_of(machine))
        for host, names in zip(hosts, devices, strict=False):
            self._devices.setdefault(host, set()).update(names)

    def cancel(self, uid: JobUid) -> bool:
        """Free what the job occupied; whether it occupied anything."""
        holding = self._held.pop(uid, None)
        if holding is None:
            return False
        self._change(holding.machine, holding.hosts, NOTHING.minus(size_of(holding.machine)))
        for host, names in zip(holding.hosts, holding.devices, strict=False):
            self._devices[host].difference_update(names)
        return True

    def choose_devices(self, machine: Machine, hosts: Sequence[str]) -> Devices | None:
        """Free devices for each rank, no one twice; None if there are too few. Empty for products without."""
        if machine.gpu == 0:
            return ()
        left = {host: self.free_devices(host) for host in set(hosts)}
        chosen: list[tuple[str, ...]] = []
        for host in hosts:
            taken, left[host] = left[host][: machine.gpu], left[host][machine.gpu :]
            chosen.append(tuple(taken))
        return tuple(chosen) if all(len(names) == machine.gpu for names in chosen) else None

    def free_devices(self, host: str) -> list[str]:
        """In the machine's own order."""
        if host not in self._leftover:
            return []
        taken = self._devices.get(host, set()) | self._leftover[host]
        names = next((node.gpus for node in self._nodes if node.host == host and node.alive), ())
        return [name for name in names if name not in taken]

    # ------------------------------------------------------------------------------------------------- amounts

    def capacity(self, category: str) -> dict[str, Size]:
        """What each machine that takes jobs sells of a category (SCH-12, SCH-18)."""
        return {
            node.host: Size(*node.capacity[category])
            for node in self._nodes
            if node.alive and node.host not in self.drained and category in node.capacity
        }

    def ever(self, category: str) -> dict[str, Node]:
        """Machines that sell it and were seen since the start, also those that are away or in maintenance (SCH-14)."""
        return {host: node for host, node in self._seen.items() if category in node.capacity}

    def free(self, category: str) -> dict[str, Size]:
        """What is left of it on each machine that takes jobs."""
        return {host: self._left(category, host, size) for host, size in self.capacity(category).items()}

    def knows(self, host: str) -> bool:
        """Whether this machine was seen since the start, or is drained."""
        return host in self._seen or host in self.drained

    def used(self, category: str, host: str) -> Size:
        return self._used.get((category, host), NOTHING)

    def holdings(self) -> Iterable[Holding]:
        return self._held.values()

    def _left(self, category: str, host: str, sold: Size) -> Size:
        left = sold.minus(self.used(category, host))
        return left._replace(gpu=min(left.gpu, len(self.free_devices(host)))) if sold.gpu else left

    def _change(self, machine: Machine, hosts: tuple[str, ...], by: Size) -> None:
        for host in hosts:
            key = (machine.product.category, host)
            self._used[key] = self._used.get(key, NOTHING).plus(by)
