"""A job's output for a follower, joined from the relays of the machines it ran on (section 6).

Used by the front end; implements `service.LogFollower`. Text is decoded here, incrementally per rank and stream:
invalid bytes are skipped, a character that was cut by a read comes out whole (LOG-3).
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator

from ucloud_ray.control.errors import NotFound, Refused
from ucloud_ray.control.service import JobService, JobView, LogChunk, LogSource
from ucloud_ray.domain.ids import JobRef

QUEUE_CHUNKS = 64
"""Pieces of at most 64 KiB that wait for a slow follower: 4 MiB (LOG-10). More stays in the files."""

RETRY_SECONDS = 1.0


class RelayFollower:
    def __init__(self, service: JobService) -> None:
        self._service = service

    async def follow(self, ref: JobRef) -> AsyncIterator[LogChunk]:
        """LOG-5 to LOG-8, LOG-13. An unknown job ends at once with nothing."""
        try:
            view = await self._until_placed(ref)
        except NotFound:
            return
        if not view.hosts:
            return
        chunks: asyncio.Queue[LogChunk | None] = asyncio.Queue(QUEUE_CHUNKS)
        reading = asyncio.create_task(self._read_all(ref, view, chunks), name=f"follow {ref.id}")
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _until_placed(self, ref: JobRef) -> JobView:
        view = await self._service.view(ref)
        while not view.final and not view.hosts:
            view = await self._watch(ref, view)
        return view

    async def _read_all(self, ref: JobRef, view: JobView, chunks: asyncio.Queue[LogChunk | None]) -> None:
        over = asyncio.Event()
        try:
            sources = await self._service.log_sources(ref)
            watching = asyncio.create_task(self._until_over(ref, view, over), name=f"watch {ref.id}")
            try:
                await asyncio.gather(*(_read(source, over, chunks) for source in sources))
                await over.wait()
            finally:
                watching.cancel()
        finally:
            await chunks.put(None)

    async def _until_over(self, ref: JobRef, view: JobView, over: asyncio.Event) -> None:
        """Set the event when the job is final and the Core knows: not before, or the user never sees the end."""
        while not (view.final and view.told):
            view = await self._watch(ref, view)
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


async def _read(source: LogSource, over: asyncio.Event, chunks: asyncio.Queue[LogChunk | None]) -> None:
    """One relay until its end. A machine that does not answer has no output for us."""
    try:
        reader, writer = await asyncio.open_connection(source.address, source.port)
    except OSError:
        return
    finishing = asyncio.create_task(_finish(writer, over))
    try:
        greeting = {"ticket": source.ticket, "ranks": list(source.ranks), "replay": source.replay_bytes}
        writer.write(json.dumps(greeting).encode() + b"\n")
        await _decode(reader, chunks)
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        finishing.cancel()
        writer.close()


async def _finish(writer: asyncio.StreamWriter, over: asyncio.Event) -> None:
    await over.wait()
    writer.write(b"finish\n")


async def _decode(reader: asyncio.StreamReader, chunks: asyncio.Queue[LogChunk | None]) -> None:
    decoders: dict[tuple[int, str], codecs.IncrementalDecoder] = {}
    while header := await reader.readline():
        frame = json.loads(header)
        data = await reader.readexactly(frame["size"])
        rank, stream = frame["rank"], frame["stream"]
        decoder = decoders.setdefault((rank, stream), codecs.getincrementaldecoder("utf-8")(errors="ignore"))
        if text := decoder.decode(data):
            await chunks.put(LogChunk(rank, **{stream: text}))
