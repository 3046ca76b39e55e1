"""How often somebody may try to log in: counted by name and by address, whoever there is. In memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from ucloud_ray.orchestrator.errors import TooMany

MOST, WITHIN_SECONDS = 10, 300.0
"""Failures, after which nothing is looked at until the oldest is so old."""
_REMEMBERED = 10_000


class Attempts:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def require_room(self, *whose: str) -> None:
        """Raises `TooMany`."""
        for one in whose:
            failures = self._failures.get(one)
            if failures and len(failures) == MOST and self._now() - failures[0] < WITHIN_SECONDS:
                raise TooMany("Too many attempts to log in have failed. Try again in a few minutes.")

    def failed(self, *whose: str) -> None:
        for one in whose:
            self._failures.setdefault(one, deque(maxlen=MOST)).append(self._now())
            self._failures.move_to_end(one)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, *whose: str) -> None:
        for one in whose:
            self._failures.pop(one, None)
