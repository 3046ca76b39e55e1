"""Reads the body of a request up to a limit. Used by both servers, the provider and the orchestrator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request

DISCARD_SECONDS = 2.0
DISCARD_BYTES = 128 * 1024 * 1024
"""How long, and how much, the rest of a body that is too large is thrown away. A sender whose connection is closed
while it still sends gets a broken connection instead of the answer that says why."""


async def read_limited(request: Request, max_bytes: int, took: Callable[[int], None] = lambda _: None) -> bytes | None:
    """The whole body; None if it is larger, of which no more than the limit was ever held in memory. `took`: hears of
    the bytes that are held before they are; what it raises ends the reading."""
    declared = request.headers.get("content-length", "")
    pieces = request.stream()
    if declared.isdecimal() and int(declared) > max_bytes:
        if "expect" not in request.headers:  # who asks first sends nothing after this answer
            await _discard(pieces)
        return None
    received = bytearray()
    async for piece in pieces:
        if len(received) + len(piece) > max_bytes:
            await _discard(pieces)
            return None
        took(len(piece))
        received += piece
    return bytes(received)


async def _discard(pieces: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            discarded = 0
            async for piece in pieces:
                discarded += len(piece)
                if discarded > DISCARD_BYTES:
                    return
    except TimeoutError:
        return
