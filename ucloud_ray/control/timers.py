"""Deadlines to `Tick` events. One heap for all jobs; the life cycle says when a tick matters (`wakes_at`).

Stored times are wall clock as `clock` counts it, waiting is monotonic. The heap is looked at every second at least, so
that a machine that was suspended ends jobs soon after it wakes up (TIME-10, TIME-13).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable

from ucloud_ray.control.ports import Clock
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain.events import Event, Tick
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Job

LOOK_SECONDS = 1.0

SLACK = 64
"""Entries of jobs that are over which the heap may hold beyond its double, so that it is not rebuilt all the time."""


class Timers:
    def __init__(self, clock: Clock, post: Callable[[JobUid, Event], None]) -> None:
        self._clock = clock
        self._post = post
        self._heap: list[tuple[Millis, JobUid]] = []
        self._due: dict[JobUid, Millis] = {}
        self._wake = asyncio.Event()

    def update(self, job: Job) -> None:
        """Called after every change of a job. An older entry of it in the heap is ignored when it comes up."""
        moment = lifecycle.wakes_at(job)
        if moment is None:
            self._due.pop(job.uid, None)
        elif self._due.get(job.uid) != moment:
            self._due[job.uid] = moment
            heapq.heappush(self._heap, (moment, job.uid))
            self._wake.set()
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._compact()

    def _compact(self) -> None:
        """Most jobs end long before their deadline; their entries must not stay until then."""
        self._heap = [(moment, uid) for uid, moment in self._due.items()]
        heapq.heapify(self._heap)

    def fire(self) -> None:
        """Post a tick to every job whose moment has come."""
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            moment, uid = heapq.heappop(self._heap)
            if self._due.get(uid) == moment:
                del self._due[uid]
                self._post(uid, Tick())

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            self.fire()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):  # unlike wait_for it never swallows a cancellation
                    await self._wake.wait()

    def _pause(self) -> float:
        if not self._heap:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, (self._heap[0][0] - self._clock.now()) / 1000))
