"""What is too much for the engine, and how it is refused: before anything of it was done (D10, REC-17).

Called by `admission` and `requests`. What lasts is answered 429, which UCloud/Core hands to its user; what is over in a
moment 503, which the Core repeats (O15). A job that we have already is none too many: whoever repeats a `create`
gets the same answer as the first time, however full it is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ucloud_ray.control.errors import Busy, TooMany


@dataclass(frozen=True, slots=True)
class Limits:
    live_jobs: int = 50_000
    """Jobs that have not ended (`policy.maxLiveJobs`)."""
    waiting_updates: int = 100_000
    """Updates that the Core has not taken (`policy.maxWaitingUpdates`). They are in memory, too."""
    admissions: int = 1_000
    """Jobs of requests that are being taken at this moment: while the disk is slow, they pile up here."""
    inbox: int = 64
    """Events of one job that wait for the store: while it is away, repeated orders pile up there."""


class Doorway:
    """Counts the jobs that are on their way in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entering = 0

    @contextmanager
    def entering(self, jobs: int) -> Iterator[None]:
        """Raises `Busy`."""
        if self._entering and self._entering + jobs > self._limits.admissions:
            raise Busy("This provider is taking in many jobs at the moment. Try again in a few seconds.")
        self._entering += jobs
        try:
            yield
        finally:
            self._entering -= jobs

    def check(self, live: int, waiting_updates: int) -> None:
        """Whether new jobs are taken at all; those that are entering count as live. Raises `TooMany`."""
        if live + self._entering > self._limits.live_jobs:
            raise TooMany(
                f"This provider has {self._limits.live_jobs} unfinished jobs, which is as many as it takes. "
                "Try again when some of them have ended."
            )
        if waiting_updates > self._limits.waiting_updates:
            raise TooMany(
                "This provider takes no more jobs until UCloud has heard of those that it has. Try again later."
            )
