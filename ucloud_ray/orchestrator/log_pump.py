"""Output of one job, from the provider's follow socket to a callback (provider-api 7.1, O13). One per follow.

wait for a connection   again every second while the job is not final: a provider may be restarting
ended                   the provider sent its `response` frame: all output was told
socket lost             our own provider tells offsets: a new socket goes on from them, and the user notices nothing
lost                    a provider that tells none would replay everything on a new socket, so whoever follows
                        decides (`follow` closes the user's socket, and the user comes again)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from ucloud_ray.orchestrator.provider_client import ProviderClient

CONNECT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
MAX_FRAME_BYTES = 64 * 1024 * 1024
STREAM_ID = "0"
_log = logging.getLogger(__name__)


class End(Enum):
    ENDED = "ended"
    LOST = "lost"


Deliver = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Output:
    """Which output, how far it was told, and what else is wanted of it."""

    job: Any
    """As the provider gets it elsewhere."""
    offsets: dict[tuple[int, str], int] = field(default_factory=dict)
    """Rank and stream to where to go on; kept up to date."""
    with_channels: bool = False
    """Whether the entries of extra channels are wanted (W15)."""
    complete: bool = True
    """Whether everything told so far had an offset: then a lost socket costs nothing."""

    def request(self, provider_id: str) -> dict[str, Any]:
        points = [{"rank": rank, "stream": stream, "offset": at} for (rank, stream), at in self.offsets.items()]
        payload = {"type": "init", "job": self.job, "resume": points, "channels": self.with_channels}
        call = f"jobs.provider.{provider_id}.follow"
        return {"call": call, "streamId": STREAM_ID, "payload": payload, "bearer": "", "project": None}

    def told(self, entry: dict[str, Any]) -> None:
        if entry.get("channel"):
            return
        stream, offset = "stdout" if entry["stdout"] else "stderr", entry.get("offset")
        if isinstance(offset, int):
            self.offsets[entry["rank"], stream] = offset
        else:
            self.complete = False


async def pump(provider: ProviderClient, username: str, output: Output, deliver: Deliver) -> End:
    """Runs until the provider's stream is over. Cancel it to stop.

    `deliver` takes a log entry; while it waits nothing more is read, so a slow reader slows the provider down instead
    of filling memory here.
    """
    while True:
        try:
            async with connect(
                provider.follow_url(username),
                additional_headers=provider.authorization(),
                compression=None,
                max_size=MAX_FRAME_BYTES,
                open_timeout=CONNECT_SECONDS,
                ping_interval=None,
                proxy=None,
            ) as socket:
                if await _stream(provider, socket, output, deliver) is End.ENDED:
                    return End.ENDED
                if not output.complete:
                    return End.LOST
        except InvalidStatus as error:
            _log.info("the provider refuses to stream output: %s", error)
            if error.response.status_code < 500:
                return End.ENDED
        except (OSError, TimeoutError, WebSocketException) as error:
            _log.info("no stream of output from the provider: %s", error)
        await asyncio.sleep(PAUSE_SECONDS)


async def _stream(provider: ProviderClient, socket: ClientConnection, output: Output, deliver: Deliver) -> End:
    try:
        await socket.send(orjson.dumps(output.request(provider.id)), text=True)
        while True:
            frame = _frame(await socket.recv(decode=False))
            if entry := _entry(frame):
                await deliver(entry)
                output.told(entry)
            if frame.get("type") == "response":
                return End.ENDED
    except WebSocketException as error:
        _log.info("the stream of output was lost: %s", error)
    return End.LOST


def _frame(text: str | bytes) -> dict[str, Any]:
    """Frames that cannot be read are ignored, like pings, which have neither type nor stream."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _entry(frame: dict[str, Any]) -> dict[str, Any] | None:
    payload = frame.get("payload")
    if frame.get("type") not in ("message", "response") or not isinstance(payload, dict):
        return None
    stdout, stderr, rank = payload.get("stdout"), payload.get("stderr"), payload.get("rank")
    if not isinstance(rank, int) or not (stdout or stderr):
        return None
    extras = {name: payload[name] for name in ("channel", "offset") if payload.get(name) is not None}
    return {"rank": rank, "stdout": stdout, "stderr": stderr, **extras}
