"""A job's output for a follower, joined from the relays of the machines it ran on (section 6).

Used by the front end; implements `service.LogFollower`. Decides when to begin and when all has been said; the bytes
come from `relay_reader`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from ucloud_ray.control.errors import NotFound, Refused
from ucloud_ray.control.relay_reader import RelayReader
from ucloud_ray.control.service import JobService, JobView, LogChunk, LogSource
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.domain.job import JobState

log = structlog.get_logger(__name__)

QUEUE_CHUNKS = 64
"""Pieces of at most 64 KiB that wait for a slow follower: 4 MiB (LOG-10). More stays in the files."""

RETRY_SECONDS = 1.0

Chunks = asyncio.Queue[LogChunk | None]
"""None: nothing more comes."""


class RelayFollower:
    def __init__(self, service: JobService) -> None:
        self._service = service

    async def follow(self, ref: JobRef) -> AsyncIterator[LogChunk]:
        """LOG-5 to LOG-8, LOG-13. An unknown job ends at once with nothing."""
        try:
            view = await self._until_running(ref)
        except NotFound:
            return
        chunks: Chunks = asyncio.Queue(QUEUE_CHUNKS)
        reading = asyncio.create_task(self._read_all(ref, view, chunks), name=f"follow {ref.id}")
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _until_running(self, ref: JobRef) -> JobView:
        """LOG-6: wait silently. Until then a start that fails may be tried again on other machines."""
        view = await self._service.view(ref)
        while not view.final and (not view.hosts or view.state is JobState.IN_QUEUE):
            view = await self._watch(ref, view)
        return view

    async def _read_all(self, ref: JobRef, view: JobView, chunks: Chunks) -> None:
        try:
            await self._join(ref, view, chunks)
        except Exception:  # a follower must end rather than hang
            log.exception("a follow failed", job=ref.id)
        await chunks.put(None)

    async def _join(self, ref: JobRef, view: JobView, chunks: Chunks) -> None:
        over = asyncio.Event()
        readers = [self._reader(ref, host, over, chunks) for host in dict.fromkeys(view.hosts)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._until_over(ref, view, over))
            for reader in readers:
                tasks.create_task(reader.run())

    def _reader(self, ref: JobRef, host: str, over: asyncio.Event, chunks: Chunks) -> RelayReader:
        async def source_now() -> LogSource | None:
            try:
                sources = await self._service.log_sources(ref)
            except Refused:
                return None
            return next((source for source in sources if source.host == host), None)

        return RelayReader(source_now, chunks.put, over)

    async def _until_over(self, ref: JobRef, view: JobView, over: asyncio.Event) -> None:
        """Set the event when the job is final and the Core knows: not before, or the user never sees the end."""
        try:
            while not (view.final and view.told):
                view = await self._watch(ref, view)
        except NotFound:
            log.info("a followed job was forgotten", job=ref.id)
        over.set()

    async def _watch(self, ref: JobRef, view: JobView) -> JobView:
        """Patient with a supervisor that is restarting: a follow outlives it."""
        try:
            return await self._service.watch(ref, view.version)
        except NotFound:
            raise
        except Refused:
            await asyncio.sleep(RETRY_SECONDS)
            return view
