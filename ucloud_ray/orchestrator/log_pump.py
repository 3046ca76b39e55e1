"""Output of one job, from the provider's follow socket to a callback (provider-api 7.1, O13). One per follow.

wait for a connection   again every second while the job is not final: a provider may be restarting
ended                   the provider sent its `response` frame: all output was told
lost                    the socket closed without it; the provider would replay everything on a new one, so
                        whoever follows decides (`follow` closes the user's socket, and the user comes again)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
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


async def pump(provider: ProviderClient, username: str, job: Any, deliver: Deliver) -> End:
    """Runs until the provider's stream is over. Cancel it to stop.

    `job`: as the provider gets it elsewhere. `deliver` takes a log entry; while it waits nothing more is read, so a
    slow reader slows the provider down instead of filling memory here.
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
                return await _stream(provider, socket, job, deliver)
        except InvalidStatus as error:
            _log.info("the provider refuses to stream output: %s", error)
            if error.response.status_code < 500:
                return End.ENDED
        except (OSError, TimeoutError, WebSocketException) as error:
            _log.info("no stream of output from the provider: %s", error)
        await asyncio.sleep(PAUSE_SECONDS)


async def _stream(provider: ProviderClient, socket: ClientConnection, job: Any, deliver: Deliver) -> End:
    request = {
        "call": f"jobs.provider.{provider.id}.follow",
        "streamId": STREAM_ID,
        "payload": {"type": "init", "job": job},
        "bearer": "",
        "project": None,
    }
    try:
        await socket.send(orjson.dumps(request), text=True)
        async for text in socket:
            frame = _frame(text)
            if entry := _entry(frame):
                await deliver(entry)
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
    stdout, stderr, rank, channel = (payload.get(name) for name in ("stdout", "stderr", "rank", "channel"))
    if not isinstance(rank, int) or not (stdout or stderr):
        return None
    entry = {"rank": rank, "stdout": stdout, "stderr": stderr}
    return entry | {"channel": channel} if channel else entry
