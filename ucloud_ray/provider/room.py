"""How much may be under way in the front end at once: calls and their bytes, and streams of output (D10, LOG-10).

Whatever exceeds it is refused at once, before anything of it was done, instead of waiting in a line that nobody sees
the end of. Only who has shown the Core's token takes room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ucloud_ray.control.errors import Busy, TooMany
from ucloud_ray.provider.errors import TooManyBytes


class CallRoom:
    """For calls that are being answered. One per application."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._calls = 0
        self._bytes = 0

    @contextmanager
    def taken(self) -> Iterator[Taken]:
        """For one call, from before its body is read until it is answered. Raises `Busy`."""
        if self._calls >= self._most:
            raise Busy(f"This provider is answering {self._most} calls at the moment. Try again in a few seconds.")
        self._calls += 1
        call = Taken(self)
        try:
            yield call
        finally:
            self._calls -= 1
            self._bytes -= call.bytes

    def grow(self, by: int) -> None:
        if self._bytes + by > self._most_bytes:
            raise TooManyBytes("This provider is reading too much at the moment. Try again in a few seconds.")
        self._bytes += by


class Taken:
    """What one call takes."""

    def __init__(self, room: CallRoom) -> None:
        self._room = room
        self.bytes = 0

    def grow(self, by: int) -> None:
        """More of its body is to be held. Raises `TooManyBytes`."""
        self._room.grow(by)
        self.bytes += by


class StreamRoom:
    """For streams of output that are open, over all sockets."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    def take(self) -> None:
        """Raises `TooMany`."""
        if self._open >= self._most:
            raise TooMany(f"The output of {self._most} jobs is being followed at the moment. Try again in a minute.")
        self._open += 1

    def give_back(self) -> None:
        self._open -= 1
