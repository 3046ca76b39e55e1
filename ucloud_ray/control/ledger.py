"""The books of the scheduler: what each machine sells of each category, and what is occupied of it.

Amounts are integers: thousandths of a core, bytes, whole GPUs (SCH-2). Kept incrementally, so that a placement costs
the same whether ten or ten thousand jobs run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ucloud_ray.control.ports import Node
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import Size, size_of

NOTHING = Size(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a placed job occupies."""

    machine: Machine
    hosts: tuple[str, ...]


class Ledger:
    def __init__(self) -> None:
        self._held: dict[JobUid, Holding] = {}
        self._used: dict[tuple[str, str], Size] = {}
        self.nodes: list[Node] = []
        """As last seen."""

    def __contains__(self, uid: JobUid) -> bool:
        return uid in self._held

    def book(self, uid: JobUid, machine: Machine, hosts: tuple[str, ...]) -> None:
        """Occupy; booking a job again replaces what it held."""
        self.cancel(uid)
        self._held[uid] = Holding(machine, hosts)
        self._change(machine, hosts, size_of(machine))

    def cancel(self, uid: JobUid) -> bool:
        """Free what the job occupied; whether it occupied anything."""
        holding = self._held.pop(uid, None)
        if holding is None:
            return False
        self._change(holding.machine, holding.hosts, NOTHING.minus(size_of(holding.machine)))
        return True

    def capacity(self, category: str) -> dict[str, Size]:
        """What each living machine sells of a category."""
        return {n.host: Size(*n.capacity[category]) for n in self.nodes if n.alive and category in n.capacity}

    def free(self, category: str) -> dict[str, Size]:
        """What is left of it on each living machine."""
        return {host: size.minus(self.used(category, host)) for host, size in self.capacity(category).items()}

    def used(self, category: str, host: str) -> Size:
        return self._used.get((category, host), NOTHING)

    def holdings(self) -> Iterable[Holding]:
        return self._held.values()

    def _change(self, machine: Machine, hosts: tuple[str, ...], by: Size) -> None:
        for host in hosts:
            key = (machine.product.category, host)
            self._used[key] = self._used.get(key, NOTHING).plus(by)
