"""Reads the output of some ranks from the relay of their machine, whatever happens to the connection.

Used by `log_follow`, one reader per machine. A relay that is being restarted, moves to another port or cuts the
connection is asked again from where we were: no gap, no duplicate (LOG-5). Text is decoded by `log_text`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from ucloud_ray.control import usage_file
from ucloud_ray.control.log_text import LogText
from ucloud_ray.control.service import FollowItem, LogSource, Place, UsageChunk

RETRY_SECONDS = 0.5
GIVE_UP_SECONDS = 15.0
"""How long a relay is asked for the rest once the job is over: its machine may be gone for good."""

BUFFER = 512 * 1024
"""Bytes that are taken from the network ahead of what is passed on; asyncio takes up to twice as much."""


class RelayReader:
    def __init__(
        self,
        source_now: Callable[[], Awaitable[LogSource | None]],
        emit: Callable[[FollowItem], Awaitable[None]],
        over: asyncio.Event,
        begin: Mapping[Place, int],
        with_usage: bool,
        buffer: int = BUFFER,
    ) -> None:
        """`source_now`: where the relay is at the moment, None if unknown. `over`: nothing more is being written.
        `begin`: offsets to go on from, where the caller was here before."""
        self._source_now = source_now
        self._emit = emit
        self._over = over
        self._begin = begin
        self._with_usage = with_usage
        self._buffer = buffer
        self._texts: dict[Place, LogText] = {}

    async def run(self) -> None:
        """Return when the relay has delivered everything, or cannot be reached any more."""
        loop = asyncio.get_running_loop()
        give_up_at: float | None = None
        while not await self._attempt():
            if self._over.is_set():
                give_up_at = give_up_at or loop.time() + GIVE_UP_SECONDS
                if loop.time() >= give_up_at:
                    return
            await asyncio.sleep(RETRY_SECONDS)

    async def _attempt(self) -> bool:
        """One connection; whether the relay said that this is all."""
        source = await self._source_now()
        if source is None:
            return False
        try:
            reader, writer = await asyncio.open_connection(source.address, source.port, limit=self._buffer)
        except OSError:
            return False
        finishing = asyncio.create_task(self._finish(writer), name="follow finish")
        try:
            writer.write(orjson.dumps(self._greeting(source)) + b"\n")
            return await self._receive(reader)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            return False
        finally:
            finishing.cancel()
            writer.close()

    def _greeting(self, source: LogSource) -> dict[str, object]:
        offsets = {**self._begin, **{place: text.offset for place, text in self._texts.items()}}
        return {
            "ticket": source.ticket,
            "ranks": list(source.ranks),
            "replay": source.replay_bytes,
            "from": [[rank, stream, offset] for (rank, stream), offset in offsets.items() if rank in source.ranks],
            "usage": self._with_usage,
        }

    async def _finish(self, writer: asyncio.StreamWriter) -> None:
        await self._over.wait()
        writer.write(b"finish\n")

    async def _receive(self, reader: asyncio.StreamReader) -> bool:
        told_before: set[int] = set()
        while header := await reader.readline():
            frame = orjson.loads(header)
            if frame.get("end"):
                return True
            data = await reader.readexactly(frame["size"])
            if frame["stream"] == "usage":
                await self._pass_usage(frame, data, anew=frame["rank"] not in told_before)
                told_before.add(frame["rank"])
            else:
                await self._pass_text(frame, data)
        return False

    async def _pass_text(self, frame: dict[str, Any], data: bytes) -> None:
        place = frame["rank"], frame["stream"]
        text = self._texts.setdefault(place, LogText(*place))
        for chunk in text.chunks(data, frame["offset"] - len(data)):
            await self._emit(chunk)

    async def _pass_usage(self, frame: dict[str, Any], data: bytes, anew: bool) -> None:
        """Each connection begins with the whole file."""
        samples = tuple(usage_file.parse(data))
        await self._emit(UsageChunk(frame["rank"], samples, reset=frame["reset"] or anew))
