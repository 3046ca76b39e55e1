"""A job's output for a follower, joined from the relays of the machines it ran on (section 6).

Used by the front end; implements `service.LogFollower`. Decides when to begin and when all has been said; the bytes
come from `relay_reader`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog

from ucloud_ray.control.errors import NotFound, Refused
from ucloud_ray.control.relay_reader import BUFFER, RelayReader
from ucloud_ray.control.service import FollowItem, JobService, JobView, LogSource, Place
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.domain.job import JobState

log = structlog.get_logger(__name__)

CHUNK_BYTES = 64 * 1024
MOST_CHUNKS = 64
"""Pieces of at most 64 KiB that wait for a slow follower: 4 MiB (LOG-10). More stays in the files."""
LEAST_CHUNKS = 4

ALL_BYTES = 256 * 1024 * 1024
"""For all followers of this process together: the more there are, the less is read ahead for the next one."""

RETRY_SECONDS = 1.0

Chunks = asyncio.Queue[FollowItem | None]
"""None: nothing more comes."""


class RelayFollower:
    def __init__(self, service: JobService, all_bytes: int = ALL_BYTES) -> None:
        self._service = service
        self._all_bytes = all_bytes
        self._open = 0

    async def follow(
        self, ref: JobRef, begin: Mapping[Place, int] | None = None, with_usage: bool = False
    ) -> AsyncIterator[FollowItem]:
        """LOG-5 to LOG-8, LOG-13. An unknown job ends at once with nothing."""
        try:
            view = await self._until_running(ref)
        except NotFound:
            return
        self._open += 1
        work = _Follow(self._service, ref, begin or {}, with_usage, self._ahead())
        reading = asyncio.create_task(work.run(view), name=f"follow {ref.id}")
        try:
            while (chunk := await work.chunks.get()) is not None:
                yield chunk
        finally:
            self._open -= 1
            reading.cancel()
            await asyncio.wait([reading])

    def _ahead(self) -> int:
        """How many pieces are read ahead for a follower that comes now."""
        share = self._all_bytes // (self._open * CHUNK_BYTES)
        return max(LEAST_CHUNKS, min(share, MOST_CHUNKS))

    async def _until_running(self, ref: JobRef) -> JobView:
        """LOG-6: wait silently. Until then a start that fails may be tried again on other machines."""
        view = await self._service.view(ref)
        while not view.final and (not view.hosts or view.state is JobState.IN_QUEUE):
            view = await watch(self._service, ref, view)
        return view


class _Follow:
    """One follow of a job that runs or has run."""

    def __init__(
        self, service: JobService, ref: JobRef, begin: Mapping[Place, int], with_usage: bool, ahead: int
    ) -> None:
        """`ahead`: pieces that may wait for the follower."""
        self.chunks: Chunks = asyncio.Queue(ahead)
        self._ahead = ahead
        self._service = service
        self._ref = ref
        self._begin = begin
        self._with_usage = with_usage
        self._over = asyncio.Event()

    async def run(self, view: JobView) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._until_over(view))
                hosts = dict.fromkeys(view.hosts)
                for host in hosts:
                    tasks.create_task(self._reader(host, self._ahead // len(hosts)).run())
        except Exception:  # a follower must end rather than hang
            log.exception("a follow failed", job=self._ref.id)
        await self.chunks.put(None)

    def _reader(self, host: str, ahead: int) -> RelayReader:
        buffer = max(CHUNK_BYTES, min(BUFFER, ahead * CHUNK_BYTES))

        async def source_now() -> LogSource | None:
            try:
                sources = await self._service.log_sources(self._ref)
            except Refused:
                return None
            return next((source for source in sources if source.host == host), None)

        return RelayReader(source_now, self.chunks.put, self._over, self._begin, self._with_usage, buffer)

    async def _until_over(self, view: JobView) -> None:
        """Set the event when the job is final and the Core knows: not before, or the user never sees the end."""
        try:
            while not (view.final and view.told):
                view = await watch(self._service, self._ref, view)
        except NotFound:
            log.info("a followed job was forgotten", job=self._ref.id)
        self._over.set()


async def watch(service: JobService, ref: JobRef, view: JobView) -> JobView:
    """Patient with a supervisor that is restarting: a follow outlives it."""
    try:
        return await service.watch(ref, view.version)
    except NotFound:
        raise
    except Refused:
        await asyncio.sleep(RETRY_SECONDS)
        return view
