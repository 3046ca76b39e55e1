"""How many sessions may be open in one front end at once (W3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ucloud_ray.control.errors import TooMany


class SessionRoom:
    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """For one session. Raises `TooMany`."""
        if self._open >= self._most:
            raise TooMany(f"{self._most} sessions are open at the moment. Close one, or try again in a minute.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
