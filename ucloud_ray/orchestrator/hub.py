"""Tells followers of a job in this process that it changed, at once. A hint with content; the database is the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ucloud_ray.orchestrator.update_rules import JobFacts


@dataclass(frozen=True, slots=True)
class JobChanged:
    facts: JobFacts
    updates: tuple[dict[str, Any], ...]
    """New ones, oldest first; `facts.update_count` counts them in."""


class Behind:
    """In place of changes that were not fetched for so long that they were too many to keep."""


BEHIND = Behind()

MOST_CHANGES = 1_000
"""Changes of one job that wait for a follower who does not read."""

News = JobChanged | Behind | None


class Hub:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._followers: dict[int, set[asyncio.Queue[News]]] = {}

    @contextmanager
    def subscribed(self, job_id: int) -> Iterator[asyncio.Queue[News]]:
        """Everything published from now on; None when the job is gone. Subscribe before reading the job, or a change
        in between is lost."""
        queue: asyncio.Queue[News] = asyncio.Queue()
        self._followers.setdefault(job_id, set()).add(queue)
        try:
            yield queue
        finally:
            followers = self._followers[job_id]
            followers.discard(queue)
            if not followers:
                del self._followers[job_id]

    def publish(self, job_id: int, changed: JobChanged) -> None:
        for queue in self._followers.get(job_id, ()):
            _put(queue, changed)

    def publish_gone(self, job_id: int) -> None:
        """The job was deleted."""
        for queue in self._followers.get(job_id, ()):
            _put(queue, None)


def _put(queue: asyncio.Queue[News], news: News) -> None:
    if queue.qsize() >= MOST_CHANGES:
        while not queue.empty():
            queue.get_nowait()
        news = BEHIND
    queue.put_nowait(news)
