"""Reads the output of some ranks from the relay of their machine, whatever happens to the connection.

Used by `log_follow`, one reader per machine. A relay that is being restarted, moves to another port or cuts the
connection is asked again from where we were: no gap, no duplicate (LOG-5). Text is decoded here, incrementally per rank
and stream: invalid bytes are skipped, a character that was cut by a read comes out whole (LOG-3).
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Awaitable, Callable

from ucloud_ray.control.service import LogChunk, LogSource

RETRY_SECONDS = 0.5
GIVE_UP_SECONDS = 15.0
"""How long a relay is asked for the rest once the job is over: its machine may be gone for good."""

Place = tuple[int, str]
"""Rank and stream."""


class RelayReader:
    def __init__(
        self,
        source_now: Callable[[], Awaitable[LogSource | None]],
        emit: Callable[[LogChunk], Awaitable[None]],
        over: asyncio.Event,
    ) -> None:
        """`source_now`: where the relay is at the moment, None if unknown. `over`: nothing more is being written."""
        self._source_now = source_now
        self._emit = emit
        self._over = over
        self._offsets: dict[Place, int] = {}
        self._decoders: dict[Place, codecs.IncrementalDecoder] = {}

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
            reader, writer = await asyncio.open_connection(source.address, source.port)
        except OSError:
            return False
        finishing = asyncio.create_task(self._finish(writer), name="follow finish")
        try:
            writer.write(json.dumps(self._greeting(source)).encode() + b"\n")
            return await self._receive(reader)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            return False
        finally:
            finishing.cancel()
            writer.close()

    def _greeting(self, source: LogSource) -> dict[str, object]:
        return {
            "ticket": source.ticket,
            "ranks": list(source.ranks),
            "replay": source.replay_bytes,
            "from": [[rank, stream, offset] for (rank, stream), offset in self._offsets.items()],
        }

    async def _finish(self, writer: asyncio.StreamWriter) -> None:
        await self._over.wait()
        writer.write(b"finish\n")

    async def _receive(self, reader: asyncio.StreamReader) -> bool:
        while header := await reader.readline():
            frame = json.loads(header)
            if frame.get("end"):
                return True
            data = await reader.readexactly(frame["size"])
            place = frame["rank"], frame["stream"]
            self._offsets[place] = frame["offset"]
            await self._decode(place, data)
        return False

    async def _decode(self, place: Place, data: bytes) -> None:
        rank, stream = place
        decoder = self._decoders.setdefault(place, codecs.getincrementaldecoder("utf-8")(errors="ignore"))
        if text := decoder.decode(data):
            await self._emit(LogChunk(rank, stdout=text) if stream == "stdout" else LogChunk(rank, stderr=text))
