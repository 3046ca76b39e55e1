"""Which room is kept for whom (SCH-10), and what that leaves for everybody else. Used by the scheduler and its news.

The arithmetic is in `domain.reserving`; here are the promises that were made, oldest first.
"""

from __future__ import annotations

from ucloud_ray.control.ledger import Ledger
from ucloud_ray.control.ports import Clock
from ucloud_ray.control.waiting_line import Waiting, WaitingLine
from ucloud_ray.domain import reserving
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import Size

MOST = 32
"""For how many jobs of a category room is kept at a time; the next one follows when the first of them is placed."""


class Keeping:
    def __init__(self, ledger: Ledger, clock: Clock, starvation_age: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._starvation_age = starvation_age
        self._kept: dict[str, dict[Waiting, reserving.Places]] = {}
        """Category to the jobs for which room is kept, in the order of their waiting."""

    def starving(self, line: WaitingLine) -> list[Waiting]:
        """Those that have waited for too long, oldest first."""
        return line.before(self._clock.now() - self._starvation_age, MOST)

    def keep(self, entry: Waiting) -> None:
        """Keep room for a starving job that does not fit; nothing if those before it leave no room to be kept."""
        kept = self._kept.setdefault(entry.category, {})
        capacity = self._able(entry, reserving.without(self._ledger.capacity(entry.category), self._before(entry)))
        machine, replicas = entry.job.spec.machine, entry.job.spec.replicas
        if entry in kept and reserving.still_possible(kept[entry], capacity, machine):
            return
        places = reserving.choose(capacity, self.open_to(entry), machine, replicas)
        if places is None:
            kept.pop(entry, None)
        else:
            kept[entry] = places

    def forget(self, entry: Waiting) -> None:
        self._kept.get(entry.category, {}).pop(entry, None)

    def open_to(self, entry: Waiting) -> dict[str, Size]:
        """What is free for this job: on machines that run its backend, less what is kept for others before it."""
        free = self._ledger.free(entry.category)
        return self._able(entry, reserving.without(free, self._before(entry)))

    def free(self, entry: Waiting) -> dict[str, Size]:
        """What would be free for it if nothing were kept."""
        return self._able(entry, self._ledger.free(entry.category))

    def _before(self, entry: Waiting) -> list[tuple[reserving.Places, Machine]]:
        """Everybody's, except that a starving job does not yield to those that starve for less long."""
        kept = self._kept.get(entry.category, {})
        mine = entry.since if entry in kept or self._starves(entry) else None
        return [
            (places, other.job.spec.machine)
            for other, places in kept.items()
            if other != entry and (mine is None or (other.since, other) < (mine, entry))
        ]

    def _starves(self, entry: Waiting) -> bool:
        return entry.since < self._clock.now() - self._starvation_age

    def _able(self, entry: Waiting, sizes: dict[str, Size]) -> dict[str, Size]:
        able = self._ledger.able(entry.job.spec)
        return {host: size for host, size in sizes.items() if host in able}
