"""Wait for a condition instead of sleeping; a failure shows what was seen last.

For tests against real processes only. Unit tests use virtual time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_SECONDS = 0.02


def wait_until(observe: Callable[[], T], what: str, timeout: float = 30.0) -> T:
    """The first truthy observation. Fails the test with the last one after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (seen := observe()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}; last seen: {seen!r}")
        time.sleep(INTERVAL_SECONDS)
    return seen


async def async_wait_until(observe: Callable[[], Awaitable[T]], what: str, timeout: float = 30.0) -> T:
    """`wait_until` for an asynchronous observation."""
    end = time.monotonic() + timeout
    while not (seen := await observe()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}; last seen: {seen!r}")
        await asyncio.sleep(INTERVAL_SECONDS)
    return seen
