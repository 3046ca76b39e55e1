"""Tells listeners in this process which wallets changed their quota or their lock. A hint: the database is the truth.

What a listener has not fetched yet is a set of ids, so one that is slow costs no more memory than there are wallets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Listener:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._some = asyncio.Event()

    def hear(self, wallets: Iterable[int]) -> None:
        self._changed.update(wallets)
        if self._changed:
            self._some.set()

    async def next(self) -> list[int]:
        """Ids of wallets; waits for the first."""
        await self._some.wait()
        self._some.clear()
        heard, self._changed = sorted(self._changed), set()
        return heard


class WalletFeed:
    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Hears everything from now on. Listen before reading the wallets, or a change in between is lost."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def publish(self, wallets: Iterable[int]) -> None:
        for listener in self._listeners:
            listener.hear(wallets)
