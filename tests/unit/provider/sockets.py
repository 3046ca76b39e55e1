"""A WebSocket client at the interface between server and application: no network, one event loop, nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

PATIENCE_SECONDS = 10.0
"""Only ever waited for by a test that fails."""


class Denied(Exception):
    """The handshake was answered with an HTTP status."""

    def __init__(self, status: int, content: Any) -> None:
        super().__init__(status, content)
        self.status = status
        self.content = content


class Closed(Exception):
    """The application closed the socket."""


class Socket:
    def __init__(self) -> None:
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, frame: Any) -> None:
        """JSON, or a text or bytes as they are."""
        if isinstance(frame, bytes):
            await self.to_app.put({"type": "websocket.receive", "bytes": frame})
        else:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            await self.to_app.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> Any:
        """The next frame. Raises `Closed`."""
        message = await asyncio.wait_for(self.from_app.get(), PATIENCE_SECONDS)
        if message["type"] == "websocket.close":
            await self.to_app.put({"type": "websocket.disconnect", "code": 1000})
            raise Closed
        return json.loads(message["text"])

    async def until_closed(self) -> list[Any]:
        """What came before the application closed the socket."""
        frames: list[Any] = []
        try:
            while True:
                frames.append(await self.receive())
        except Closed:
            return frames


@asynccontextmanager
async def connect(app: FastAPI, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
    """Leaving the block is the client leaving; the application has then ended. Raises `Denied`."""
    socket = Socket()
    await socket.to_app.put({"type": "websocket.connect"})
    running = asyncio.create_task(app(_scope(path, headers or {}), socket.to_app.get, socket.from_app.put))
    try:
        await _handshake(socket)
        yield socket
    finally:
        await socket.to_app.put({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(running, PATIENCE_SECONDS)


async def _handshake(socket: Socket) -> None:
    first = await asyncio.wait_for(socket.from_app.get(), PATIENCE_SECONDS)
    if first["type"] == "websocket.http.response.start":
        body = await socket.from_app.get()
        raise Denied(first["status"], json.loads(body["body"]))
    assert first["type"] == "websocket.accept", first


def _scope(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "type": "websocket", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "ws",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "subprotocols": [],
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("client", 1), "server": ("provider", 80), "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
