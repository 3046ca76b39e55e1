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


class Hub:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._followers: dict[int, set[asyncio.Queue[JobChanged | None]]] = {}

    @contextmanager
    def subscribed(self, job_id: int) -> Iterator[asyncio.Queue[JobChanged | None]]:
        """Everything published from now on; None when the job is gone. Subscribe before reading the job, or a change
        in between is lost."""
        queue: asyncio.Queue[JobChanged | None] = asyncio.Queue()
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
            queue.put_nowait(changed)

    def publish_gone(self, job_id: int) -> None:
        """The job was deleted."""
        for queue in self._followers.get(job_id, ()):
            queue.put_nowait(None)
