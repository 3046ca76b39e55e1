"""UCloud's frames on a socket of a browser (provider-api 7.0): what arrives is read here, what is sent is whole."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ucloud_ray.wire.follow import PING, RequestFrame

_FRAME = TypeAdapter(RequestFrame)


class Frames:
    """One socket. Any number of tasks may send. Raises `WebSocketDisconnect` once the browser has left."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._one_at_a_time = asyncio.Lock()

    async def receive(self) -> RequestFrame:
        """The next one; what is no frame is passed over, as the servers of K do."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if (frame := _parse(message.get("text"))) is not None:
                return frame

    async def message(self, stream_id: str, payload: dict[str, Any]) -> None:
        await self._send({"type": "message", "streamId": stream_id, "payload": payload})

    async def no_such_call(self, stream_id: str) -> None:
        payload = {"why": "There is no such call on this socket", "errorCode": None}
        await self._send({"type": "response", "streamId": stream_id, "status": 404, "payload": payload})

    async def ping(self) -> None:
        await self._text(PING)

    async def close(self, why: str = "") -> None:
        """`why`: at most 123 bytes are shown."""
        async with self._one_at_a_time:
            if self._websocket.application_state is WebSocketState.CONNECTED:
                await self._websocket.close(1008 if why else 1000, why.encode()[:123].decode(errors="ignore"))

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._text(orjson.dumps(frame).decode())

    async def _text(self, text: str) -> None:
        async with self._one_at_a_time:
            if self._websocket.application_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(1006)
            await self._websocket.send_text(text)


def _parse(text: str | None) -> RequestFrame | None:
    try:
        return _FRAME.validate_python(orjson.loads(text or ""))
    except (ValidationError, orjson.JSONDecodeError):
        return None
