"""A Core that accepts every update at once, or is down: `control.ports.Updates` over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ucloud_ray.control.ports import JobStore, OutboxRow
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobUid, Millis


class RecordedUpdates:
    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: dict[int, OutboxRow] = {}
        self._seen: set[int] = set()
        self._changed = asyncio.Condition()
        self._delivering: set[asyncio.Task[None]] = set()
        self.down = False
        self.accepted: list[OutboxRow] = []
        """In the order in which the Core got them."""

    def of(self, id: JobId | str) -> list[Announce]:
        """What the Core was told of a job."""
        return [row.update for row in self.accepted if row.job_id == id]

    def submit(self, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            if row.seq not in self._seen:
                self._seen.add(row.seq)
                self._waiting[row.seq] = row
        self._deliver()

    def come_up(self) -> None:
        """The Core answers again."""
        self.down = False
        self._deliver()

    async def told(self, uid: JobUid) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self.waits(uid))

    def waits(self, uid: JobUid) -> bool:
        return any(row.uid == uid for row in self._waiting.values())

    def waits_for(self, id: JobId) -> bool:
        return any(row.job_id == id for row in self._waiting.values())

    def backlog(self) -> tuple[int, Millis | None]:
        return len(self._waiting), min((row.at for row in self._waiting.values()), default=None)

    async def close(self) -> None:
        self.down = True
        for task in self._delivering:
            task.cancel()
        await asyncio.gather(*self._delivering, return_exceptions=True)

    def _deliver(self) -> None:
        if self._waiting and not self.down and not self._delivering:
            task = asyncio.create_task(self._acknowledge(), name="core")
            self._delivering.add(task)
            task.add_done_callback(self._delivered)

    async def _acknowledge(self) -> None:
        rows = [self._waiting[seq] for seq in sorted(self._waiting)]
        await self._store.acknowledge([row.seq for row in rows])
        self.accepted += rows
        for row in rows:
            del self._waiting[row.seq]
        async with self._changed:
            self._changed.notify_all()

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._delivering.discard(task)
        if not task.cancelled():
            self._deliver()
