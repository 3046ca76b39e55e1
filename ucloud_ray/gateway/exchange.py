"""One HTTP request of a browser and the application's answer, both as they come (IS-20). Called by `web`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ucloud_ray.gateway import headers
from ucloud_ray.gateway.routes import Route


class Sent:
    """Knows whether an answer has begun: then there is no other one any more."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Any) -> None:
        self.begun = True
        await self._send(message)

    async def instead(self, page: Response, scope: Scope, receive: Receive) -> None:
        """After the beginning nothing is sent: the server then closes the connection, and the browser knows."""
        if not self.begun:
            await page(scope, receive, self._send)


async def exchange(route: Route, scope: Scope, receive: Receive, sent: Sent) -> None:
    """One request and its answer, both as they come. A browser that leaves ends it at the application, too."""
    body = _Body(receive, scope["headers"])
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    given = headers.of_request(scope["headers"], _client(scope), scope["scheme"], body.is_there)
    answering = asyncio.create_task(_answer(route, scope["method"], target, given, body, sent))
    leaving = asyncio.create_task(body.left())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _answer(route: Route, method: str, target: bytes, given: list[headers.Pair], body: _Body, sent: Sent) -> None:
    async with route.upstream.answer(method, target, given, body.pieces() if body.is_there else None) as answer:
        start = {"type": "http.response.start", "status": answer.status, "headers": headers.of_answer(answer.headers)}
        await sent(start)
        async for piece in answer.aiter_stream():
            await sent({"type": "http.response.body", "body": piece, "more_body": True})
        await sent({"type": "http.response.body", "body": b""})


class _Body:
    """Of a request, as it arrives, and then the moment at which the browser leaves."""

    def __init__(self, receive: Receive, given: list[headers.Pair]) -> None:
        self._receive = receive
        names = dict(given)
        self.is_there = b"transfer-encoding" in names or names.get(b"content-length", b"0") != b"0"
        self._complete = asyncio.Event()
        self._gone = asyncio.Event()
        if not self.is_there:
            self._complete.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
                raise asyncio.CancelledError
            yield message.get("body", b"")
            if not message.get("more_body"):
                self._complete.set()
                return

    async def left(self) -> None:
        gone = asyncio.create_task(self._gone.wait())
        complete = asyncio.create_task(self._complete.wait())
        try:
            await asyncio.wait({gone, complete}, return_when=asyncio.FIRST_COMPLETED)
            while not self._gone.is_set():
                if (await self._receive())["type"] == "http.disconnect":
                    return
        finally:
            gone.cancel()
            complete.cancel()


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""
