"""How many replicas of a product fit where (section 10). Used by the scheduler and for what is told about products.

Arithmetic on sizes only: which machines are of a category, drained or unhealthy is decided by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from ucloud_ray.domain.job import Machine

GIGABYTE = 10**9
"""Gigabytes are decimal (SCH-1, ENV-36)."""

QueueStatus = Literal["AVAILABLE", "BUSY", "FULL"]


class Size(NamedTuple):
    """Thousandths of a core, bytes of memory, whole GPUs (SCH-2). Compares equal to a plain tuple."""

    cpu_milli: int
    memory_bytes: int
    gpu: int = 0

    def plus(self, other: Size) -> Size:
        return Size(self.cpu_milli + other.cpu_milli, self.memory_bytes + other.memory_bytes, self.gpu + other.gpu)

    def minus(self, other: Size) -> Size:
        """May become negative, when a machine sells less than it did."""
        return Size(self.cpu_milli - other.cpu_milli, self.memory_bytes - other.memory_bytes, self.gpu - other.gpu)

    def times(self, count: int) -> Size:
        return Size(self.cpu_milli * count, self.memory_bytes * count, self.gpu * count)


Sizes = Mapping[str, tuple[int, int, int]]
"""Host to (thousandths of a core, bytes of memory, GPUs)."""


def size_of(machine: Machine) -> Size:
    """What one replica occupies (SCH-18: the product's size, not the load)."""
    booked = machine.booked_cpu_milli
    return Size(machine.cpu_milli if booked is None else booked, machine.memory_bytes, machine.gpu)


def requested_cpu(cpu_milli: int, reserved_milli: int, largest_milli: int, fraction: float = 1.0) -> int:
    """What a replica takes of a machine that keeps some of its cores for itself: a little less than it may use (SCH-5).

    All in thousandths of a core. `reserved_milli`: what a machine of the category keeps. `largest_milli`: the largest
    product of the category. `fraction`: the share of its cores that a product without GPUs really gets.
    """
    share = cpu_milli * fraction * (1000 - _kept(reserved_milli, largest_milli)) / 1000
    return math.floor(round(share, 6))  # what floating point adds or takes is not a milli-core


def sellable_cpu(machine_milli: int, reserved_milli: int, largest_milli: int) -> int:
    """How many thousandths of a core a machine sells, so that what is requested of it leaves the reservation (SCH-5).

    Requests are a fixed share of what is sold, so the books are kept in what is sold: never more than the machine has,
    and less on a machine that is smaller than the largest product.
    """
    kept = _kept(reserved_milli, largest_milli)
    if kept >= 1000:
        return 0
    return max(0, min(machine_milli, (machine_milli - reserved_milli) * 1000 // (1000 - kept)))


def _kept(reserved_milli: int, largest_milli: int) -> int:
    """Thousandths of every core that are not requested: `ceil(R / M)`, with M in cores."""
    return min(1000, -(-reserved_milli * 1000 // largest_milli)) if largest_milli > 0 else 0


def how_many(free: tuple[int, int, int], machine: Machine) -> int:
    """How many replicas fit into this room, at least 0. What a product does not use does not limit it."""
    counts = [have // need for have, need in zip(free, size_of(machine), strict=True) if need > 0]
    return max(0, min(counts, default=0))


def free_of(capacity: Sizes, used: Sizes) -> dict[str, Size]:
    """Room per host of `capacity`; use on other hosts does not count."""
    return {host: Size(*sold).minus(Size(*used.get(host, (0, 0, 0)))) for host, sold in capacity.items()}


def total(sizes: Iterable[tuple[int, int, int]]) -> Size:
    """SCH-18: the sum over machines, or over the jobs that occupy them."""
    result = Size(0, 0, 0)
    for size in sizes:
        result = result.plus(Size(*size))
    return result


def fits(capacity: Sizes, used: Sizes, machine: Machine, replicas: int = 1) -> bool:
    """Whether all replicas fit at once (SCH-11). With nothing used: whether they can ever fit (SCH-14)."""
    return place_greedily(free_of(capacity, used), machine, replicas) is not None


def place_greedily(free: Sizes, machine: Machine, replicas: int, avoid: Collection[str] = ()) -> tuple[str, ...] | None:
    """Host of rank i, or None if not all fit at once. Fullest first, so that big gaps stay (SCH-11).

    `avoid`: hosts that are taken last. Filling in any order finds room whenever there is some, because all replicas are
    of one size.
    """
    hosts: list[str] = []
    for host in sorted(free, key=lambda host: (host in avoid, how_many(free[host], machine), free[host], host)):
        hosts += [host] * min(how_many(free[host], machine), replicas - len(hosts))
    return tuple(hosts) if len(hosts) == replicas else None


def queue_status(free: Sizes, machine: Machine) -> QueueStatus:
    """SCH-20: two more jobs of this product fit, one does, none does."""
    room = sum(how_many(size, machine) for size in free.values())
    return "AVAILABLE" if room >= 2 else "BUSY" if room == 1 else "FULL"
