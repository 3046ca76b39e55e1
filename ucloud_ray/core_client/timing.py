"""Waits and limits of the publisher; tests shorten them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ucloud_ray.core_client.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Timing:
    """The defaults are the requirements'."""

    backoff: Backoff = field(default_factory=Backoff)
    batch: int = 500
    """Updates in one request (control-api 1)."""
    gather: float = 0.01
    """Seconds between the beginnings of two requests, so that updates of a burst share one. An idle publisher sends at
    once."""
    second_request_after: float = 0.02
    """Seconds that a request may take before another one, for other jobs, goes beside it. Below that it is cheaper to
    let updates gather for the next."""
    unknown_for: int = 300_000
    """Milliseconds that the Core must deny a job before it is given up (REC-9, REC-11)."""
    denials: int = 3
    """Confirmations in a row that it does not know it (REC-9)."""
    failures_that_mean_down: int = 3
    """Updates in a row that failed alone; then it is the Core and not the updates."""
    questions: int = 5
    """How often in a row the Core is asked in vain what it has, before what is in doubt is sent all the same."""
