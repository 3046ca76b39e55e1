"""Takes delivered updates off the disk, many in one transaction. Part of the publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog

from ucloud_ray.control.ports import JobStore
from ucloud_ray.core_client.backoff import Backoff
from ucloud_ray.core_client.lanes import Lane

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Acknowledger:
    """`release` is called for a lane once its update is off the disk; only then may its next one be sent."""

    def __init__(self, store: JobStore, backoff: Backoff, release: Callable[[Lane], None]) -> None:
        self._store = store
        self._backoff = backoff
        self._release = release
        self._finished: list[tuple[int, Lane | None]] = []
        self._some = asyncio.Event()

    def put(self, seq: int, lane: Lane | None) -> None:
        """`lane` None: nobody waits for this one."""
        self._finished.append((seq, lane))
        self._some.set()

    async def run(self) -> None:
        """Until cancelled. What is lost with us then is sent once more after the next start."""
        while True:
            await self._some.wait()
            self._some.clear()
            finished, self._finished = self._finished, []
            await insist(partial(self._store.acknowledge, [seq for seq, _ in finished]), self._backoff)
            for _, lane in finished:
                if lane is not None:
                    self._release(lane)


async def insist(call: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
    """Repeat while the store says that this may help (disk full, database gone)."""
    failures = 0
    while True:
        try:
            return await call()
        except Exception as error:
            # The port does not bind us to a store, only to its word that the same call may work later.
            if not getattr(error, "retryable", False):
                raise
            failures += 1
            log.warning("The store is not available to the publisher", why=str(error))
        await asyncio.sleep(backoff.delay(failures))
