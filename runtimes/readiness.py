"""Waits until a file descriptor can be read or written, on the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    await _told(descriptor, loop.add_reader, loop.remove_reader)


async def writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    await _told(descriptor, loop.add_writer, loop.remove_writer)


async def _told(descriptor: int, add: Callable[..., Any], remove: Callable[[int], bool]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(descriptor, _tell, ready)
    try:
        await ready
    finally:
        remove(descriptor)


def _tell(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
