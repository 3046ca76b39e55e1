"""Carries plans out with asyncio: httpx.AsyncClient, and WebSockets of the `websockets` library. Behind `AsyncClient`.

Files are read and written in threads, so that a slow disk does not stop what else the event loop does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ucloud_ray.client import network
from ucloud_ray.client.calls import Read
from ucloud_ray.client.effects import (
    Closed,
    Dial,
    Effect,
    Emit,
    Fetch,
    NoAnswer,
    NotReached,
    Receive,
    Reply,
    Send,
    Sleep,
    Slice,
    Steps,
    Transmit,
)
from ucloud_ray.client.session import Session

if TYPE_CHECKING:
    import websockets.asyncio.client as websocket


class Awaiting:
    def __init__(self, session: Session, http: httpx.AsyncClient) -> None:
        self.session = session
        self.http = http

    async def call(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Any:
        async with _Line() as line:
            steps = Steps(plan)
            while (wanted := steps.wanted) is not None:
                await self._step(steps, wanted, line)
            return read(steps.result)

    async def each(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> AsyncGenerator[Any, None]:
        async with _Line() as line:
            steps = Steps(plan)
            while (wanted := steps.wanted) is not None:
                if isinstance(wanted, Emit):
                    yield read(wanted.value)
                await self._step(steps, wanted, line)

    async def _step(self, steps: Steps, wanted: Effect | Emit, line: _Line) -> None:
        try:
            outcome = None if isinstance(wanted, Emit) else await self._outcome(wanted, line)
        except (NotReached, NoAnswer, Closed, TimeoutError) as error:
            steps.failed(error)
        else:
            steps.done(outcome)

    async def _outcome(self, wanted: Effect, line: _Line) -> object:
        match wanted:
            case Send():
                return await self._send(wanted)
            case Fetch():
                return await self._fetch(wanted)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Dial(url):
                await line.dial(url)
            case Transmit(text):
                await line.transmit(text)
            case Receive(seconds):
                return await line.receive(seconds)
        return None

    async def _send(self, wanted: Send) -> Reply:
        content = wanted.content
        body = _pieces(content) if isinstance(content, Slice) else content
        with network.translated():
            answer = await self.http.request(
                wanted.method, wanted.url, params=wanted.query or None, headers=wanted.headers, content=body
            )
        return network.reply(answer, answer.content)

    async def _fetch(self, wanted: Fetch) -> Reply:
        with network.translated():
            async with self.http.stream("GET", wanted.url, headers=wanted.headers) as answer:
                if answer.is_error:
                    return network.reply(answer, await answer.aread())
                head = network.reply(answer, b"")
                await asyncio.to_thread(wanted.begin, head)
                async for piece in answer.aiter_raw():
                    await asyncio.to_thread(wanted.sink, piece)
                return head


async def _pieces(content: Slice) -> AsyncIterator[bytes]:
    pieces = network.pieces(content)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


class _Line:
    """At most one open WebSocket; closed at the end, however that comes."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._socket: websocket.ClientConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def dial(self, url: str) -> None:
        import websockets.asyncio.client as websocket

        await self._open.aclose()
        with network.translated_dialling():
            self._socket = await self._open.enter_async_context(websocket.connect(url, **network.SOCKET_OPTIONS))

    async def transmit(self, text: str) -> None:
        with network.translated_socket():
            await self._connected().send(text)

    async def receive(self, seconds: float | None) -> str:
        with network.translated_socket():
            return network.text(await asyncio.wait_for(self._connected().recv(), seconds))

    def _connected(self) -> websocket.ClientConnection:
        if self._socket is None:
            raise Closed
        return self._socket
