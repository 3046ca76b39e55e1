"""Desktops in the browser (IS-25, IS-26, IS-29): RFB in binary frames, bridged to what the application speaks.

An application that greets as RFB does is spoken with byte for byte; one that waits for the first word speaks web socket
itself (websockify), and is spoken with as such.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog
import websockets.asyncio.client as client
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from ucloud_ray.control.errors import NoSuchSession, NotReady, Refused
from ucloud_ray.gateway.room import SessionRoom
from ucloud_ray.gateway.routes import Routes

log = structlog.get_logger("ucloud_ray.gateway")

BINARY = "binary"
GREETING = b"RFB "
GREETING_SECONDS = 1.0
"""How long a desktop may take for its first word before it is taken for a web socket's."""
BUFFER = 64 * 1024


class DesktopSocket:
    """The route `/ucloud/P/vnc?token=`. Any number of viewers; one that leaves disturbs no other (IS-29)."""

    def __init__(self, routes: Routes, room: SessionRoom) -> None:
        self._routes = routes
        self._room = room

    async def serve(self, websocket: WebSocket) -> None:
        try:
            with self._room.taken():
                connection = await self._connect(websocket.query_params.get("token", ""))
                try:
                    await _view(websocket, connection)
                finally:
                    connection.close()
        except Refused as refused:
            await websocket.send_denial_response(JSONResponse({"why": refused.why}, refused.status))
        except (WebSocketDisconnect, OSError):
            return

    async def _connect(self, ticket: str) -> socket.socket:
        """Raises `Refused`."""
        route, source = await self._routes.find(ticket)
        if source.kind != "VNC":
            raise NoSuchSession("This session is for something else.")
        return await route.connect()


async def _view(websocket: WebSocket, connection: socket.socket) -> None:
    first = await _greeting(connection)
    if first:
        await _accept(websocket)
        await _bridge(websocket, connection, first)
    else:
        await _bridge_socket(websocket, connection)


async def _greeting(connection: socket.socket) -> bytes:
    """What it says by itself; nothing of one that waits for us."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GREETING_SECONDS):
            return await asyncio.get_running_loop().sock_recv(connection, BUFFER)
    return b""


async def _accept(websocket: WebSocket) -> None:
    offered = websocket.scope.get("subprotocols") or []
    await websocket.accept(BINARY if BINARY in offered else None)


async def _bridge(websocket: WebSocket, connection: socket.socket, first: bytes) -> None:
    async def up() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(connection, await _received(websocket))

    async def down() -> None:
        data = first
        while data:
            await websocket.send_bytes(data)
            data = await asyncio.get_running_loop().sock_recv(connection, BUFFER)

    await _either(up(), down())
    await _close(websocket)


async def _bridge_socket(websocket: WebSocket, connection: socket.socket) -> None:
    """Raises `NotReady` before the browser's handshake is answered."""
    try:
        application = await client.connect(
            "ws://application/websockify", sock=connection, subprotocols=[Subprotocol(BINARY)], compression=None,
            max_size=None, ping_interval=None, proxy=None,
        )  # fmt: skip
    except (OSError, TimeoutError, WebSocketException) as error:
        raise NotReady("The desktop of the job does not answer yet.") from error

    async def up() -> None:
        while True:
            await application.send(await _received(websocket))

    async def down() -> None:
        with suppress(ConnectionClosed):
            async for message in application:
                await websocket.send_bytes(message.encode() if isinstance(message, str) else bytes(message))

    async with application:
        await _accept(websocket)
        await _either(up(), down())
        await _close(websocket)


async def _received(websocket: WebSocket) -> bytes:
    """Raises `WebSocketDisconnect`."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message.get("bytes") or (message.get("text") or "").encode()


async def _either(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(websocket: WebSocket) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the browser left first
        await websocket.close()
