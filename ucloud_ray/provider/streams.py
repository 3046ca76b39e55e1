"""One stream of output on a follow socket, and the frames that carry it (provider-api 7.0, LOG-2, LOG-10)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ucloud_ray.control.errors import Refused
from ucloud_ray.control.service import FollowItem, LogChunk, LogFollower, Place, UsageChunk
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.provider.channels import Charts

MAX_TEXT_BYTES = 64 * 1024


class Writer:
    """Sends whole frames, one at a time, from any number of tasks. Raises `WebSocketDisconnect` on a closed socket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._one_at_a_time = asyncio.Lock()

    async def text(self, text: str) -> None:
        async with self._one_at_a_time:
            if self._websocket.application_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(1006)
            await self._websocket.send_text(text)

    async def frame(self, frame: dict[str, Any]) -> None:
        await self.text(orjson.dumps(frame).decode())

    async def failure(self, stream_id: str, error: Refused) -> None:
        """The last frame of a stream that failed."""
        payload = {"why": error.why, "errorCode": error.error_code}
        await self.frame({"type": "response", "streamId": stream_id, "status": error.status, "payload": payload})

    async def close(self) -> None:
        async with self._one_at_a_time:
            if self._websocket.application_state is WebSocketState.CONNECTED:
                await self._websocket.close()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a follower asks for beyond the output."""

    begin: Mapping[Place, int] | None = None
    """Offsets to go on from; None: and nobody asked for offsets."""
    charts: Charts | None = None


class Stream:
    """One follow of one job."""

    def __init__(self, writer: Writer, client_stream: str, follower: LogFollower, job: JobRef, wanted: Wanted) -> None:
        self.id = str(uuid.uuid4())
        """Ours, the same in every message of this follow; names it in a cancel request (LOG-1)."""
        self.client_stream = client_stream
        """The id that the client chose for its frames."""
        self._writer = writer
        self._follower = follower
        self._job = job
        self._wanted = wanted

    async def copy(self) -> None:
        """Until the follower has nothing more. However this ends, the follower has let go afterwards (LOG-12)."""
        wanted = self._wanted
        following = self._follower.follow(self._job, wanted.begin, wanted.charts is not None)
        # Followers are generators; the protocol names the wider type only.
        async with aclosing(cast("AsyncGenerator[FollowItem, None]", following)) as items:
            async for item in items:
                for payload in self._payloads(item):
                    await self._writer.frame({"type": "message", "streamId": self.client_stream, "payload": payload})

    def _payloads(self, item: FollowItem) -> Iterator[dict[str, Any]]:
        if isinstance(item, LogChunk):
            yield from messages(item, self.id, with_offset=self._wanted.begin is not None)
        elif self._wanted.charts is not None:
            yield from channel_messages(item, self.id, self._wanted.charts)

    async def end(self, client_stream: str) -> None:
        """The last frame, on this stream of the client (LOG-8)."""
        payload = _message(self.id, 0)
        await self._writer.frame({"type": "response", "streamId": client_stream, "status": 200, "payload": payload})


def messages(chunk: LogChunk, stream_id: str, with_offset: bool = False) -> Iterator[dict[str, Any]]:
    """Follow messages of at most 64 KiB of text each, none of them empty (LOG-10)."""
    told = [_message(stream_id, chunk.rank, stdout=text) for text in pieces(chunk.stdout or "")]
    told += [_message(stream_id, chunk.rank, stderr=text) for text in pieces(chunk.stderr or "")]
    if told and with_offset:
        told[-1]["offset"] = chunk.offset
    yield from told


def channel_messages(chunk: UsageChunk, stream_id: str, charts: Charts) -> Iterator[dict[str, Any]]:
    for message in charts.feed(chunk):
        yield _message(stream_id, 0, stdout=message.text) | {"channel": message.channel}


def pieces(text: str, limit: int = MAX_TEXT_BYTES) -> Iterator[str]:
    """The text in parts of at most `limit` bytes of UTF-8, no character cut."""
    if len(text) <= (limit if text.isascii() else limit // 4):
        yield from [text] if text else []
        return
    data = text.encode()
    if len(data) <= limit:
        yield text
        return
    start = 0
    while start < len(data):
        end = _character_start(data, min(start + limit, len(data)))
        yield data[start:end].decode()
        start = end


def _character_start(data: bytes, position: int) -> int:
    """The position, or the beginning of the character that it lies inside."""
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position -= 1
    return position


def _message(stream_id: str, rank: int, stdout: str | None = None, stderr: str | None = None) -> dict[str, Any]:
    return {"streamId": stream_id, "rank": rank, "stdout": stdout, "stderr": stderr, "channel": None}
