"""Room that is kept for jobs which have waited for too long (SCH-10). Called by the scheduler; arithmetic only.

A starving job keeps a number of places on chosen machines, and no more: the rest of those machines, and all others,
stay open to everybody. What runs there ends some day, and what is placed meanwhile never takes the kept places, so the
job is placed in the end. The choice is not made anew while it can still be fulfilled: a choice that wandered from
machine to machine would keep nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import Size, Sizes, how_many, size_of

Places = Mapping[str, int]
"""Host to how many replicas will go there."""


def choose(capacity: Sizes, free: Sizes, machine: Machine, replicas: int) -> dict[str, int] | None:
    """The machines that have room soonest: those with most of the places free already. None if they never suffice.

    `capacity`: what each machine sells when it is idle, less what is kept for others. `free`: what is free of it now.
    """
    places: dict[str, int] = {}
    nearest = sorted(capacity, key=lambda host: (-_share(free.get(host, (0, 0, 0)), machine), host))
    for host in nearest:
        count = min(how_many(capacity[host], machine), replicas - sum(places.values()))
        if count > 0:
            places[host] = count
    return places if sum(places.values()) == replicas else None


def _share(free: tuple[int, int, int], machine: Machine) -> float:
    """For how many replicas there is room, parts of one included: what is nearest to whole is whole soonest."""
    return min((have / need for have, need in zip(free, size_of(machine), strict=True) if need > 0), default=0.0)


def still_possible(places: Places, capacity: Sizes, machine: Machine) -> bool:
    """Whether an earlier choice can still be fulfilled: its machines are there and sell as much as they did."""
    return all(how_many(capacity.get(host, (0, 0, 0)), machine) >= count for host, count in places.items())


def without(sizes: Sizes, kept: Iterable[tuple[Places, Machine]]) -> dict[str, Size]:
    """What is left of each machine for those for whom nothing is kept. May be negative: then nothing is."""
    left = {host: Size(*size) for host, size in sizes.items()}
    for places, machine in kept:
        for host, count in places.items():
            if host in left:
                left[host] = left[host].minus(size_of(machine).times(count))
    return left
