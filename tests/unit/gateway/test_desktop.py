"""Desktops through the gateway (IS-25, IS-26, IS-29): RFB over TCP and websockified, for several viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import websockets.asyncio.client as client
import websockets.asyncio.server as server
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.support.terminals import NO_TERMINALS
from tests.unit.gateway.application import served
from tests.unit.gateway.world import KEY, Ports
from ucloud_ray.control.relay import Relay
from ucloud_ray.gateway import desktop
from ucloud_ray.gateway.desktop import DesktopSocket
from ucloud_ray.gateway.room import SessionRoom
from ucloud_ray.gateway.routes import Routes

BINARY = Subprotocol("binary")
GREETING = b"RFB 003.008\n"
View = Callable[[str], client.connect]


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    relay = Relay(tmp_path, KEY, NO_TERMINALS)
    yield Ports(await relay.start("127.0.0.1"))
    await relay.close()


@pytest.fixture
async def view(ports: Ports) -> AsyncIterator[View]:
    """Connects as noVNC does, with this ticket."""
    routes = Routes(ports)
    app = FastAPI()
    app.add_api_websocket_route("/vnc", DesktopSocket(routes, SessionRoom(3)).serve)
    async with served(app) as port:
        yield lambda ticket: client.connect(
            f"ws://127.0.0.1:{port}/vnc?token={ticket}", subprotocols=[BINARY], proxy=None, max_size=None
        )
    await routes.close()


@pytest.fixture
async def raw(ports: Ports) -> AsyncIterator[str]:
    """A ticket for a desktop that greets, and says everything again in upper case."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    ports.pages["raw"] = ("41", 0, "VNC", listening.sockets[0].getsockname()[1])
    yield "raw"
    listening.close()


@pytest.fixture
async def websockified(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A ticket for one behind websockify, which waits for the browser's first word."""
    monkeypatch.setattr(desktop, "GREETING_SECONDS", 0.05)

    async def serve(connection: server.ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.path == "/websockify"
        await connection.send(GREETING)
        async for message in connection:
            await connection.send(message.upper())

    async with server.serve(serve, "127.0.0.1", 0, subprotocols=[BINARY], max_size=None) as listening:
        ports.pages["websockified"] = ("41", 0, "VNC", listening.sockets[0].getsockname()[1])
        yield "websockified"


@pytest.fixture(params=["raw", "websockified"])
def ticket(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


async def received(connection: client.ClientConnection, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await asyncio.wait_for(connection.recv(), 10)
        assert isinstance(piece, bytes)
        data += piece
    return data


async def test_bytes_go_both_ways(view: View, ticket: str) -> None:
    """IS-26: a raw RFB greeting is bridged, a web socket proxied."""
    async with view(ticket) as viewer:
        assert viewer.subprotocol == BINARY
        assert await received(viewer, len(GREETING)) == GREETING
        await viewer.send(b"a" * 500_000)
        assert await received(viewer, 500_000) == b"A" * 500_000


async def test_one_viewer_that_leaves_disturbs_no_other(view: View, ticket: str) -> None:
    """IS-29, W8: the same ticket again and again."""
    async with view(ticket) as first:
        await received(first, len(GREETING))
        async with view(ticket) as second:
            await received(second, len(GREETING))
        await first.send(b"still here")
        assert await received(first, 10) == b"STILL HERE"


async def test_the_end_of_the_desktop_closes_the_viewer(view: View, ports: Ports) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    ports.pages["short"] = ("41", 0, "VNC", listening.sockets[0].getsockname()[1])
    async with view("short") as viewer:
        assert await received(viewer, len(GREETING)) == GREETING
        await asyncio.wait_for(viewer.wait_closed(), 10)
    listening.close()


@pytest.mark.parametrize("bad", ["", "forged", "a-web-page"])
async def test_nobody_sees_a_desktop_without_its_ticket(view: View, ports: Ports, raw: str, bad: str) -> None:
    """IS-3."""
    ports.pages["a-web-page"] = ("41", 0, "WEB", ports.pages[raw][3])
    with pytest.raises(InvalidStatus) as refused:
        async with view(bad):
            pass
    assert refused.value.response.status_code == 403


async def test_a_desktop_that_does_not_listen_yet_is_worth_another_attempt(view: View, ports: Ports) -> None:
    ports.pages["early"] = ("41", 0, "VNC", 1)
    with pytest.raises(InvalidStatus) as refused:
        async with view("early"):
            pass
    assert refused.value.response.status_code == 503
