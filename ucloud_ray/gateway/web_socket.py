"""Web sockets between a browser and an application: messages both ways, one for one (IS-20)."""

from __future__ import annotations

import asyncio
from typing import Any

import websockets.asyncio.client as client
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from ucloud_ray.control.errors import Refused
from ucloud_ray.gateway import headers
from ucloud_ray.gateway.routes import Route

OPEN_SECONDS = 30.0
GOING_AWAY, NO_STATUS = 1001, 1005


class HandshakeRefused(Refused):
    """The application's own answer, or none that could be understood."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.args = (why, status)
        self.status = status


async def relay_socket(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
    """Until either side closes. Raises `Refused` before the handshake is answered."""
    async with await _dial(route, scope) as application:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": application.subprotocol})
        ways = [asyncio.create_task(_up(application, receive)), asyncio.create_task(_down(application, send))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _dial(route: Route, scope: Scope) -> client.ClientConnection:
    connection = await route.connect()
    target = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"].decode("latin-1")
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    url = f"ws://{host}{target.decode('latin-1')}" + (f"?{query}" if query else "")
    peer = str(scope["client"][0]) if scope.get("client") else ""
    given = headers.of_socket(scope["headers"], peer, scope["scheme"].replace("ws", "http"))
    try:
        return await client.connect(
            url,
            sock=connection,
            subprotocols=[Subprotocol(name) for name in scope.get("subprotocols") or []] or None,
            additional_headers=given,
            user_agent_header=None,
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=OPEN_SECONDS,
            proxy=None,
        )
    except InvalidStatus as refused:
        connection.close()
        raise HandshakeRefused("The application refuses this web socket.", refused.response.status_code) from refused
    except (OSError, TimeoutError, WebSocketException) as error:
        connection.close()
        raise HandshakeRefused("The application broke off the handshake of a web socket.", 502) from error


async def _up(application: client.ClientConnection, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        await application.send(message["text"] if message.get("text") is not None else message["bytes"])
    code = message.get("code") or NO_STATUS
    await application.close(GOING_AWAY if code in (NO_STATUS, 1006) else code, message.get("reason") or "")


async def _down(application: client.ClientConnection, send: Send) -> None:
    try:
        async for message in application:
            await send({"type": "websocket.send", **_content(message)})
    except ConnectionClosed:
        pass
    code = application.close_code or NO_STATUS
    closing = {"code": 1000 if code in (NO_STATUS, 1006) else code, "reason": application.close_reason or ""}
    await send({"type": "websocket.close", **closing})


def _content(message: Any) -> dict[str, Any]:
    return {"text": message} if isinstance(message, str) else {"bytes": bytes(message)}
