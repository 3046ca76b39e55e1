"""How often somebody may try to log in: counted by name, or by address, whoever there is. In memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from ucloud_ray.orchestrator.errors import TooMany

MOST_OF_ONE_NAME, MOST_OF_ONE_ADDRESS = 10, 100
"""Failures, after which nothing is looked at until the oldest is so old. Many may share an address, behind a proxy."""
WITHIN_SECONDS = 300.0
_REMEMBERED = 10_000


class Attempts:
    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def require_room(self, whose: str) -> None:
        """Raises `TooMany`."""
        failures = self._failures.get(whose)
        if failures and len(failures) == self._most and self._now() - failures[0] < WITHIN_SECONDS:
            raise TooMany("Too many attempts to log in have failed. Try again in a few minutes.")

    def failed(self, whose: str) -> None:
        self._failures.setdefault(whose, deque(maxlen=self._most)).append(self._now())
        self._failures.move_to_end(whose)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, whose: str) -> None:
        self._failures.pop(whose, None)
