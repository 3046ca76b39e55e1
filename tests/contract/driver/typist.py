"""Somebody who types into a terminal and reads what comes back."""

from __future__ import annotations

import asyncio

from runtimes.terminals import Terminal

PATIENCE_SECONDS = 30.0


class Typist:
    """Reads all the time, like whoever looks at a screen."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.seen = b""
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while data := await self.terminal.read():
            async with self._news:
                self.seen += data
                self._news.notify_all()

    async def types(self, text: str) -> None:
        await self.terminal.write(text.encode())

    async def sees(self, text: str | bytes) -> None:
        """Fails with what there was instead."""
        wanted = text if isinstance(text, bytes) else text.encode()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._news:
                await self._news.wait_for(lambda: wanted in self.seen)
        except TimeoutError:
            raise AssertionError(f"{wanted!r} does not appear in {self.seen[-2000:]!r}") from None

    async def sees_the_end(self) -> None:
        await asyncio.wait_for(asyncio.shield(self._reading), PATIENCE_SECONDS)

    async def leaves(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self.terminal.close()
