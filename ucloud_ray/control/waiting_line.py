"""The queue of one product category: who is before whom (SCH-9, SCH-10). Used by the scheduler only.

Kept as one sorted line per shape, because of jobs that want the same the one in front decides for all: when it does
not fit, none behind it does. So a round over ten thousand waiting jobs costs as much as one over the few shapes.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile

from ucloud_ray.control.addresses import needs_network
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Backend, Job, Queued
from ucloud_ray.domain.products import Size, size_of

Shape = tuple[int, Backend, Size, int, bool]
"""Priority, backend, size, number of replicas, whether they need a network: what makes two jobs of a category alike for
a scheduler."""


@dataclass(frozen=True, order=True, slots=True)
class Waiting:
    """A job in a queue; the order of the fields is the order of the queue (SCH-10)."""

    rank: int
    """Minus the priority."""
    since: Millis
    number: tuple[int, str]
    """The job's id, numbers in their own order."""
    uid: JobUid
    job: Job = field(compare=False)
    incarnation: int = field(compare=False)
    shape: Shape = field(compare=False)

    @classmethod
    def of(cls, job: Job, incarnation: int) -> Waiting:
        since = job.accepted_at or job.created_at  # a job that comes back has its old position (SCH-11)
        rank = -job.spec.machine.priority
        return cls(rank, since, (len(job.id), job.id), job.uid, job, incarnation, _shape(job))

    @property
    def category(self) -> str:
        return self.job.spec.machine.product.category

    @property
    def not_before(self) -> Millis:
        """After a start that failed: when it may be placed again."""
        pause = self.job.phase.not_before if isinstance(self.job.phase, Queued) else None
        return pause or Millis(0)


class WaitingLine:
    def __init__(self) -> None:
        self._lines: dict[Shape, list[Waiting]] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def add(self, entry: Waiting) -> None:
        bisect.insort(self._lines.setdefault(entry.shape, []), entry)

    def remove(self, entry: Waiting) -> None:
        line = self._lines[entry.shape]
        del line[bisect.bisect_left(line, entry)]
        if not line:
            del self._lines[entry.shape]

    def first(self, without: Collection[Shape] = ()) -> Waiting | None:
        """Whose turn it is, leaving out jobs of these shapes."""
        return min((line[0] for shape, line in self._lines.items() if shape not in without), default=None)

    def before(self, moment: int, at_most: int) -> list[Waiting]:
        """Those that were submitted before then, longest waiting first; no more than so many."""
        old = (islice(takewhile(lambda e: e.since < moment, line), at_most) for line in self._lines.values())
        return heapq.nsmallest(at_most, (entry for line in old for entry in line), key=lambda entry: entry.since)

    def place(self, entry: Waiting) -> int:
        """1 for the first; for one that is not in it: what it would have."""
        return 1 + sum(bisect.bisect_left(line, entry) for line in self._lines.values())

    def in_order(self) -> Iterator[Waiting]:
        return heapq.merge(*self._lines.values())


def _shape(job: Job) -> Shape:
    spec = job.spec
    return spec.machine.priority, spec.backend, size_of(spec.machine), spec.replicas, needs_network(spec)
