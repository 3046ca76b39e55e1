"""The WebSocket at `/api/jobs`: frames in, streams out (provider-api 7.0, end-user-api 7).

One socket may carry several streams. The token is in the frame. A stream that cannot begin ends with a `response` frame
that has the status; frames that cannot be read are discarded.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from ucloud_ray.orchestrator.errors import ApiError, BadRequest, NotFound
from ucloud_ray.orchestrator.follow import LAST_PAYLOAD, Following, Lost
from ucloud_ray.orchestrator.items import FollowPayload
from ucloud_ray.orchestrator.readable import first_problem
from ucloud_ray.orchestrator.tokens import Gate
from ucloud_ray.wire.follow import PING, RequestFrame

CALL = "jobs.follow"
MAX_STREAMS = 100
TRY_AGAIN = 1012
"""Close code: the service restarts."""
_log = logging.getLogger(__name__)


class FollowSocket:
    """One connection."""

    def __init__(self, socket: WebSocket, following: Following, gate: Gate, ping_seconds: float) -> None:
        self._socket = socket
        self._following = following
        self._gate = gate
        self._ping_seconds = ping_seconds
        self._streams: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Returns when the client has left."""
        await self._socket.accept()
        ping = asyncio.create_task(self._ping(), name="follow-ping")
        try:
            while True:
                self._start(await self._socket.receive_text())
        except (WebSocketDisconnect, KeyError, RuntimeError):
            pass  # it left, sent bytes, or we closed: all the same here
        finally:
            tasks = [ping, *self._streams]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, text: str) -> None:
        try:
            frame = RequestFrame.model_validate(orjson.loads(text))
        except (orjson.JSONDecodeError, ValidationError):
            return
        if len(self._streams) < MAX_STREAMS:
            task = asyncio.create_task(self._run(frame), name=f"follow-{frame.stream_id[:40]}")
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)

    async def _run(self, frame: RequestFrame) -> None:
        try:
            await self._follow(frame)
            await self._end(frame, 200, LAST_PAYLOAD)
        except ApiError as error:
            await self._end(frame, error.status, error.body())
        except Lost:
            await self._socket.close(TRY_AGAIN)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client has left in the middle of a message
        except Exception:
            _log.exception("following failed")
            await self._end(frame, 500, ApiError("Something went wrong here; try again later.").body())

    async def _follow(self, frame: RequestFrame) -> None:
        if frame.call != CALL:
            raise NotFound(f"There is no call {frame.call[:100]!r} here; follow jobs with {CALL}.")
        user = self._gate.user(frame.bearer or "")
        try:
            wanted = FollowPayload.model_validate(frame.payload)
        except ValidationError as error:
            raise BadRequest(f"payload.{first_problem(error)}") from error

        async def send(payload: dict[str, Any]) -> None:
            await self._send({"type": "message", "streamId": frame.stream_id, "payload": payload})

        await self._following.follow(user, wanted, send)

    async def _end(self, frame: RequestFrame, status: int, payload: dict[str, Any]) -> None:
        await self._send({"type": "response", "streamId": frame.stream_id, "status": status, "payload": payload})

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(frame).decode())

    async def _send_text(self, text: str) -> None:
        async with self._sending:
            await self._socket.send_text(text)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._ping_seconds)
            await self._send_text(PING)
