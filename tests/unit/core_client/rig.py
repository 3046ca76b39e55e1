"""A publisher between a real store and a fake Core over HTTP, with short waits and a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.contract.store.jobs import a_job
from tests.support.fake_core import REFRESH_TOKEN, FakeCore
from tests.support.wait import async_wait_until
from ucloud_ray.control.ports import Change, OutboxRow
from ucloud_ray.core_client import CoreClient, Publisher
from ucloud_ray.core_client.backoff import Backoff
from ucloud_ray.core_client.timing import Timing
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Job, JobState
from ucloud_ray.settings import CoreSettings
from ucloud_ray.store import open_store
from ucloud_ray.store.failing import FailingStore

QUEUED = Announce(state=JobState.IN_QUEUE, status="queued")
RUNNING = Announce(state=JobState.RUNNING, status="running")
SUCCESS = Announce(state=JobState.SUCCESS, status="success")
QUICK = Timing(backoff=Backoff(first_seconds=0.01, most_seconds=0.05))


def text(words: str) -> Announce:
    return Announce(status=words)


class SetClock:
    def __init__(self) -> None:
        self.millis = 0

    def now(self) -> Millis:
        return Millis(self.millis)


class Rig:
    def __init__(self, core: FakeCore, store: FailingStore, timing: Timing) -> None:
        self.core = core
        self.store = store
        self.clock = SetClock()
        self.unknown: list[JobUid] = []
        self.client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN, timeout_seconds=0.5))
        self._timing = timing
        self.publisher = self._new_publisher()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.publisher.run())

    async def stop(self) -> None:
        """As a crash: at any point, without a farewell."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def restart(self) -> None:
        await self.stop()
        self.publisher = self._new_publisher()
        self.start()

    async def announce(self, job: Job, *updates: Announce) -> list[OutboxRow]:
        rows = await self.store.commit([Change(job, updates)])
        self.publisher.submit(rows)
        return rows

    async def all_told(self) -> None:
        """Everything is accepted, and gone from the disk."""

        async def nothing_waits() -> bool:
            return self.publisher.backlog() == (0, None) and not await self.store.pending_updates()

        await async_wait_until(nothing_waits, "the outbox to be empty", timeout=20)

    def _new_publisher(self) -> Publisher:
        return Publisher(self.client, self.store, self.clock, self.unknown.append, self._timing)


@asynccontextmanager
async def rig_of(core: FakeCore, folder: Path, timing: Timing = QUICK, started: bool = True) -> AsyncIterator[Rig]:
    store = FailingStore(await open_store(f"sqlite:///{folder / 'jobs.db'}"))
    rig = Rig(core, store, timing)
    if started:
        rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
        await rig.client.close()
        await store.close()


def job_of(id: str) -> Job:
    """A job that the Core calls `id`."""
    return a_job(id)
