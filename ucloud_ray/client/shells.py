"""A terminal in a job that runs, over the socket that browsers use (provider-api 7.2). Awaited only."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ucloud_ray.client import network
from ucloud_ray.client.errors import ClientError, Unreachable
from ucloud_ray.wire.sessions import OpenSessionWithProvider, ShellSession

if TYPE_CHECKING:
    import websockets.asyncio.client as websocket

MOST_CHARACTERS = 16 * 1024
"""Of what is typed in one frame."""


class Shell:
    """An open terminal. `output` ends when the shell does."""

    def __init__(self, socket: websocket.ClientConnection, call: str) -> None:
        self._socket = socket
        self._call = call
        self._numbers = itertools.count()

    async def output(self) -> AsyncIterator[str]:
        from websockets.exceptions import ConnectionClosed

        try:
            async for text in self._socket:
                payload = json.loads(text).get("payload") or {}
                if payload.get("type") == "data":
                    yield payload["data"]
        except ConnectionClosed as closed:
            raise ClientError("the connection to the terminal was lost; the job goes on") from closed

    async def type(self, text: str) -> None:
        for begin in range(0, len(text), MOST_CHARACTERS):
            await self._send({"type": "input", "data": text[begin : begin + MOST_CHARACTERS]})

    async def resize(self, columns: int, rows: int) -> None:
        await self._send({"type": "resize", "cols": columns, "rows": rows})

    async def begin(self, session: str, columns: int, rows: int) -> None:
        await self._send({"type": "initialize", "sessionIdentifier": session, "cols": columns, "rows": rows})

    async def _send(self, payload: Mapping[str, Any]) -> None:
        """To one that is gone nothing is said: whoever reads the output is told."""
        from websockets.exceptions import ConnectionClosed

        frame = {"call": self._call, "streamId": str(next(self._numbers)), "payload": payload, "bearer": ""}
        try:
            await self._socket.send(json.dumps(frame))
        except ConnectionClosed:
            return


@asynccontextmanager
async def shell(opened: OpenSessionWithProvider, core: str, columns: int = 80, rows: int = 24) -> AsyncIterator[Shell]:
    """`opened`: what `open_session("SHELL")` gave; `core`: the address that was asked.

    Raises `ClientError` with the provider's reason when it refuses, `Unreachable`.
    """
    import websockets.asyncio.client as websocket
    from websockets.exceptions import InvalidStatus, WebSocketException

    session = opened.session
    if not isinstance(session, ShellSession):
        raise ClientError("this is no session of a terminal")
    domain = _socket_address(opened.provider_domain, core)
    url = f"{domain}/ucloud/{opened.provider_id}/websocket?session={session.session_identifier}"
    try:
        socket = await websocket.connect(url, **network.SOCKET_OPTIONS)
    except InvalidStatus as refused:
        raise ClientError(_why(refused.response.body, refused.response.status_code)) from refused
    except (OSError, TimeoutError, WebSocketException) as error:
        raise Unreachable(f"the provider cannot be reached at {domain}") from error
    async with socket:
        opened_shell = Shell(socket, f"jobs.compute.{opened.provider_id}.shell.open")
        await opened_shell.begin(session.session_identifier, columns, rows)
        yield opened_shell


def _socket_address(domain: str, core: str) -> str:
    """The documentation shows it without a scheme; then it is the one of UCloud/Core."""
    secure = urlsplit(domain if "://" in domain else core).scheme in ("https", "wss")
    return f"{'wss' if secure else 'ws'}://{domain.rpartition('://')[2].rstrip('/')}"


def _why(body: bytes | bytearray | None, status: int) -> str:
    try:
        return str(json.loads(body or b"")["why"])
    except (ValueError, KeyError, TypeError):
        return f"the provider refuses the terminal: {status} {HTTPStatus(status).phrase}"
