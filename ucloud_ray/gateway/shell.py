"""The socket of a terminal in the browser (provider-api 7.2, IS-7 to IS-15).

    browser ──frames──▶ ShellSocket ──relay──▶ shell in the replica, on any machine

The session's id is the only credential, and is spent by whoever shows it first. With `?session=` it is looked at in the
handshake, and the shell is opened there: a page that is refused there gives up, one that is let in and thrown out comes
back twice a second for ever (W3). Pages of K show it only in their first frame.
"""

from __future__ import annotations

import asyncio
import codecs
import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

import structlog
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from runtimes.terminals import Terminal, TerminalSize
from ucloud_ray.control.errors import NoSuchSession, Refused
from ucloud_ray.control.service import TerminalSource
from ucloud_ray.gateway.frames import Frames
from ucloud_ray.gateway.room import SessionRoom
from ucloud_ray.wire.follow import RequestFrame
from ucloud_ray.wire.sessions import ShellInitialize, ShellInput, ShellRequest, ShellResize

log = structlog.get_logger("ucloud_ray.gateway")

INITIALIZE_SECONDS = 30.0
"""IS-10."""
PING_SECONDS = 30.0
FAREWELL = "\r\n[The shell has ended.]\r\n"
"""Shown because a page opens a new shell by itself (W3), and its user should see that it is one."""

_REQUEST: TypeAdapter[ShellRequest] = TypeAdapter(ShellRequest)

OpenTerminal = Callable[[TerminalSource, TerminalSize], Awaitable[Terminal]]
"""`control.terminal_client.open_terminal`."""


class TerminalService(Protocol):
    """As much of `control.service.JobService` as this needs."""

    async def redeem_terminal(self, session: str) -> TerminalSource: ...


class ShellSocket:
    """The route. One instance serves all sockets."""

    def __init__(
        self,
        service: TerminalService,
        open_terminal: OpenTerminal,
        provider_id: str,
        room: SessionRoom,
        origins: Collection[str] = (),
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """`origins`: of the pages that may open terminals, as browsers name them; none: any."""
        self._service = service
        self._open_terminal = open_terminal
        self._call = f"jobs.compute.{provider_id}.shell.open"
        self._room = room
        self._origins = frozenset(origins)
        self._ping_seconds = ping_seconds

    async def serve(self, websocket: WebSocket) -> None:
        """Refuse in the handshake, or serve until either side is done."""
        try:
            with self._room.taken():
                self._check_origin(websocket.headers)
                session = websocket.query_params.get("session")
                terminal = await self._open(session, TerminalSize()) if session else None
                await self._let_in(websocket, session, terminal)
        except Refused as refused:
            await websocket.send_denial_response(_denial(refused))
        except WebSocketDisconnect:
            return

    async def _let_in(self, websocket: WebSocket, session: str | None, terminal: Terminal | None) -> None:
        frames = Frames(websocket)
        try:
            await websocket.accept()
            first = await self._first(frames)
            terminal = terminal or await self._open(first.request.session_identifier, first.size)
            if session is not None and not hmac.compare_digest(session, first.request.session_identifier):
                raise NoSuchSession("The session is not the one of the handshake.")
            await terminal.resize(first.size)
            await _Shell(frames, terminal, self._call, first.stream_id).run(self._ping_seconds)
        except (Refused, TimeoutError) as refused:
            await frames.close(str(refused.why) if isinstance(refused, Refused) else "Nothing was asked for.")
        finally:
            if terminal is not None:
                await terminal.close()

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        """A page of somebody else, who got hold of an id. What is no browser names no origin."""
        origin = headers.get("origin")
        if self._origins and origin is not None and origin not in self._origins:
            raise NoSuchSession("Pages of this origin may not open terminals; the operator knows `provider.uiOrigins`.")

    async def _open(self, session: str, size: TerminalSize) -> Terminal:
        """Raises `Refused`."""
        source = await self._service.redeem_terminal(session)
        log.info("a terminal is opened", job=source.job, rank=source.rank)
        return await self._open_terminal(source, size)

    async def _first(self, frames: Frames) -> First:
        """Raises `TimeoutError`."""
        async with asyncio.timeout(INITIALIZE_SECONDS):
            while True:
                frame = await frames.receive()
                if frame.call != self._call:
                    await frames.no_such_call(frame.stream_id)
                elif isinstance(request := _request(frame), ShellInitialize):
                    return First(frame.stream_id, request)
                else:
                    raise NoSuchSession("A terminal begins with 'initialize'.")


class First:
    """The request that begins a terminal."""

    def __init__(self, stream_id: str, request: ShellInitialize) -> None:
        self.stream_id = stream_id
        self.request = request

    @property
    def size(self) -> TerminalSize:
        return TerminalSize.of(self.request.cols, self.request.rows)


class _Shell:
    """One open terminal."""

    def __init__(self, frames: Frames, terminal: Terminal, call: str, stream_id: str) -> None:
        self._frames = frames
        self._terminal = terminal
        self._call = call
        self._stream_id = stream_id
        """Of `initialize`: output goes there."""

    async def run(self, ping_seconds: float) -> None:
        await self._frames.message(self._stream_id, {"type": "initialize"})
        jobs = [
            asyncio.create_task(self._show(), name="shell output"),
            asyncio.create_task(self._obey(), name="shell input"),
            asyncio.create_task(self._ping(ping_seconds), name="shell keep-alive"),
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        await self._frames.close()

    async def _show(self) -> None:
        """IS-11: a character that is split over two reads is put together, an invalid byte shown as such."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := await self._terminal.read():
            await self._data(decoder.decode(data))
        await self._data(decoder.decode(b"", final=True) + FAREWELL)

    async def _data(self, text: str) -> None:
        if text:
            await self._frames.message(self._stream_id, {"type": "data", "data": text})

    async def _obey(self) -> None:
        """One after the other, so that a program which reads slowly slows who types."""
        while True:
            frame = await self._frames.receive()
            if frame.call != self._call:
                await self._frames.no_such_call(frame.stream_id)
            elif (request := _request(frame)) is not None:
                await self._do(request, frame.stream_id)

    async def _do(self, request: ShellRequest, stream_id: str) -> None:
        if isinstance(request, ShellInput):
            await self._terminal.write(request.data.encode())
        else:
            await self._terminal.resize(TerminalSize.of(request.cols, request.rows))
        if isinstance(request, ShellInput | ShellResize):
            await self._frames.message(stream_id, {"type": "ack"})

    async def _ping(self, every: float) -> None:
        while True:
            await self._frames.ping()
            await asyncio.sleep(every)


def _request(frame: RequestFrame) -> ShellRequest | None:
    try:
        return _REQUEST.validate_python(frame.payload)
    except ValidationError:
        return None


def _denial(refused: Refused) -> JSONResponse:
    """A page stops asking for 403 only (W3); trouble that passes keeps its status, for other clients."""
    status = 403 if refused.status in (400, 404) else refused.status
    content: dict[str, Any] = {"why": refused.why, "errorCode": refused.error_code}
    return JSONResponse(content, status)
