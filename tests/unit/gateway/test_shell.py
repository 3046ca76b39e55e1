"""The socket of a terminal, as browsers of both eras use it (provider-api 7.2, IS-7 to IS-15, W3, W10)."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from runtimes.terminals import Terminal, TerminalSize
from runtimes.types import TaskId
from tests.support.terminals import ScriptedTerminals
from tests.unit.provider.sockets import Denied, Socket, connect
from ucloud_ray.control.errors import BadRequest, NoSuchSession, NotReady, Refused
from ucloud_ray.control.service import TerminalSource
from ucloud_ray.domain.ids import JobId
from ucloud_ray.gateway import shell
from ucloud_ray.gateway.room import SessionRoom
from ucloud_ray.gateway.shell import FAREWELL, ShellSocket

PATH = "/ucloud/example/websocket"
CALL = "jobs.compute.example.shell.open"
GOOD = "a" * 43
PING = {"ping": "pong"}


class World:
    """One session, `GOOD`, to be spent once."""

    def __init__(self) -> None:
        self.shells = ScriptedTerminals()
        self.promised = {GOOD}
        self.failure: Refused | None = None
        """Of the machine, when a shell is to be opened."""

    async def redeem_terminal(self, session: str) -> TerminalSource:
        if session not in self.promised:
            raise NoSuchSession("This terminal session is not known any more.")
        self.promised.remove(session)
        return TerminalSource("127.0.0.1", 1, "ticket", JobId("41"), 0)

    async def open(self, source: TerminalSource, size: TerminalSize) -> Terminal:
        if self.failure:
            raise self.failure
        return await self.shells.open("docker", TaskId("j-41-job-0", "1"), size)

    def app(self, most: int = 10, origins: tuple[str, ...] = ()) -> FastAPI:
        app = FastAPI()
        socket = ShellSocket(self, self.open, "example", SessionRoom(most), origins)
        app.add_api_websocket_route(PATH, socket.serve)
        return app


@pytest.fixture
def world() -> World:
    return World()


def frame(stream: str, **payload: Any) -> dict[str, Any]:
    return {"call": CALL, "streamId": stream, "payload": payload, "bearer": "", "project": None, "signedIntent": None}


def begin(stream: str = "0", session: str = GOOD, **size: Any) -> dict[str, Any]:
    return frame(stream, type="initialize", sessionIdentifier=session, **size)


async def message(socket: Socket) -> dict[str, Any]:
    """The next frame that is no ping."""
    while (received := await socket.receive()) == PING:
        pass
    assert isinstance(received, dict)
    return received


async def text(socket: Socket, size: int) -> str:
    """The next so many characters of output."""
    shown = ""
    while len(shown) < size:
        received = await message(socket)
        assert received["payload"]["type"] == "data", received
        shown += received["payload"]["data"]
    return shown


G = f"{PATH}?session={GOOD}&usernameHint=YWxp Y2U="


@pytest.mark.parametrize("path", [pytest.param(G, id="G"), pytest.param(PATH, id="K")])
async def test_a_terminal_begins_as_the_protocol_says(world: World, path: str) -> None:
    """IS-8, IS-9, W10: a blank may stand for a plus."""
    async with connect(world.app(), path) as socket:
        await socket.send(begin("17", cols=100, rows=30, xpixel=5))
        assert await message(socket) == {"type": "message", "streamId": "17", "payload": {"type": "initialize"}}
        world.shells.newest.shows(b"$ ")
        assert await message(socket) == {
            "type": "message", "streamId": "17", "payload": {"type": "data", "data": "$ "},
        }  # fmt: skip
    assert world.shells.newest.sizes[-1] == TerminalSize(100, 30)
    assert world.shells.newest.closed


async def test_without_a_size_it_is_eighty_by_twenty_four(world: World) -> None:
    """IS-9."""
    async with connect(world.app(), G) as socket:
        await socket.send(begin(cols=None, rows=None))
        await message(socket)
    assert world.shells.newest.sizes[-1] == TerminalSize(80, 24)


async def test_input_and_resizing_are_acknowledged_on_their_own_streams(world: World) -> None:
    """IS-9."""
    async with connect(world.app(), G) as socket:
        await socket.send(begin())
        await message(socket)
        await socket.send(frame("1", type="input", data="ls ä\r"))
        assert await message(socket) == {"type": "message", "streamId": "1", "payload": {"type": "ack"}}
        await socket.send(frame("2", type="resize", cols=90, rows=20, cellWidth=7))
        assert await message(socket) == {"type": "message", "streamId": "2", "payload": {"type": "ack"}}
        assert world.shells.newest.typed == "ls ä\r".encode()
        assert world.shells.newest.sizes[-1] == TerminalSize(90, 20)


async def test_a_second_initialize_is_a_resize(world: World) -> None:
    """IS-9."""
    async with connect(world.app(), G) as socket:
        await socket.send(begin())
        await message(socket)
        await socket.send(begin("5", cols=44, rows=11))
        await socket.send(frame("6", type="input", data="x"))
        assert (await message(socket))["streamId"] == "6"
    assert len(world.shells.opened) == 1
    assert world.shells.newest.sizes[-1] == TerminalSize(44, 11)


async def test_a_character_that_comes_in_two_pieces_is_whole(world: World) -> None:
    """IS-11."""
    letters = "a€𝄞"
    async with connect(world.app(), G) as socket:
        await socket.send(begin())
        await message(socket)
        for byte in letters.encode():
            world.shells.newest.shows(bytes([byte]))
        assert await text(socket, 3) == letters


async def test_the_end_of_the_shell_is_said_and_closes_the_socket(world: World) -> None:
    """W3; 7.2: close the socket when the shell ends."""
    async with connect(world.app(), G) as socket:
        await socket.send(begin())
        await message(socket)
        world.shells.newest.shows("half €".encode()[:-1])
        world.shells.newest.shows(b"")
        frames = [received for received in await socket.until_closed() if received != PING]
        shown = "".join(received["payload"]["data"] for received in frames)
        assert shown == "half �" + FAREWELL


@pytest.mark.parametrize("path", [f"{PATH}?session=unknown", f"{PATH}?session=%ff"])
async def test_an_unknown_session_is_refused_in_the_handshake(world: World, path: str) -> None:
    """W3: let in and thrown out, the page would come back twice a second for ever."""
    with pytest.raises(Denied) as denied:
        async with connect(world.app(), path):
            pass
    assert denied.value.status == 403
    assert "not known" in denied.value.content["why"]


async def test_a_spent_session_is_refused(world: World) -> None:
    """IS-12."""
    async with connect(world.app(), G) as socket:
        await socket.send(begin())
        await message(socket)
        with pytest.raises(Denied):
            async with connect(world.app(), G):
                pass


@pytest.mark.parametrize(
    ("failure", "status"),
    [(BadRequest("The image has no shell."), 403), (NotReady("The machine does not answer."), 503)],
)
async def test_a_shell_that_cannot_be_had_is_a_refused_handshake(world: World, failure: Refused, status: int) -> None:
    """W3."""
    world.failure = failure
    with pytest.raises(Denied) as denied:
        async with connect(world.app(), G):
            pass
    assert (denied.value.status, denied.value.content["why"]) == (status, failure.why)


async def test_an_unknown_session_of_a_first_frame_closes_the_socket(world: World) -> None:
    """7.2, K."""
    async with connect(world.app(), PATH) as socket:
        await socket.send(begin(session="unknown"))
        assert [received for received in await socket.until_closed() if received != PING] == []
    assert world.shells.opened == []


async def test_the_session_of_the_first_frame_must_be_that_of_the_handshake(world: World) -> None:
    async with connect(world.app(), G) as socket:
        await socket.send(begin(session="another"))
        await socket.until_closed()
    assert world.shells.newest.closed


@pytest.mark.parametrize("first", [frame("1", type="input", data="x"), frame("1", type="nonsense"), frame("1")])
async def test_a_terminal_that_does_not_begin_with_initialize_is_closed(world: World, first: Any) -> None:
    """IS-10."""
    async with connect(world.app(), G) as socket:
        await socket.send(first)
        await socket.until_closed()
    assert world.shells.newest.closed


async def test_a_page_that_says_nothing_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """IS-10."""
    monkeypatch.setattr(shell, "INITIALIZE_SECONDS", 0.01)
    async with connect(world.app(), G) as socket:
        await socket.until_closed()
    assert world.shells.newest.closed


async def test_what_is_no_frame_is_passed_over_and_another_call_is_not_found(world: World) -> None:
    """7.0."""
    async with connect(world.app(), G) as socket:
        for nonsense in ("no json", "[]", b"bytes", {"call": 3}):
            await socket.send(nonsense)
        await socket.send({"call": "jobs.follow", "streamId": "8", "payload": {}})
        refused = await message(socket)
        assert (refused["type"], refused["streamId"], refused["status"]) == ("response", "8", 404)
        await socket.send(begin())
        await message(socket)
        await socket.send(frame("9", type="resize", cols="wide"))
        await socket.send(frame("10", type="input", data="still here"))
        assert (await message(socket))["streamId"] == "10"


async def test_there_is_room_for_a_bounded_number_of_sessions(world: World) -> None:
    """W3."""
    world.promised.add("b" * 43)
    app = world.app(most=1)
    async with connect(app, G) as socket:
        await socket.send(begin())
        await message(socket)
        with pytest.raises(Denied) as denied:
            async with connect(app, f"{PATH}?session={'b' * 43}"):
                pass
        assert denied.value.status == 429
    assert "b" * 43 in world.promised


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://cloud.example.org", True), ("https://evil.example.org", False), ("null", False), (None, True)],
)
async def test_only_pages_of_the_named_origins_may_open_terminals(
    world: World, origin: str | None, allowed: bool
) -> None:
    """7.2: check the `Origin` header where the deployment knows the page's. What is no browser sends none."""
    app = world.app(origins=("https://cloud.example.org",))
    headers = {} if origin is None else {"Origin": origin}
    if allowed:
        async with connect(app, G, headers) as socket:
            await socket.send(begin())
            assert (await message(socket))["payload"] == {"type": "initialize"}
        return
    with pytest.raises(Denied) as denied:
        async with connect(app, G, headers):
            pass
    assert denied.value.status == 403
    assert GOOD in world.promised
