"""Web pages of jobs (IS-17 to IS-24): an ASGI application for every name of `addresses`, in front of all others.

    /ucloud/P/authorize-app?token=T ──▶ cookie, then /        everything else with the cookie ──▶ the application

The token is a ticket of the supervisor's (`control.sessions`), and so is the cookie: nothing is kept here, and a
restart costs only the open connections (IS-23).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import structlog
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ucloud_ray.control.errors import NoSuchSession, NotReady, Refused
from ucloud_ray.gateway import headers, pages
from ucloud_ray.gateway.addresses import AUTHORIZE, Page, WebAddresses
from ucloud_ray.gateway.routes import Route, Routes
from ucloud_ray.gateway.tunnel import NotListening
from ucloud_ray.gateway.upstream import BROKEN
from ucloud_ray.gateway.web_socket import relay_socket

log = structlog.get_logger("ucloud_ray.gateway")

COOKIE_SECONDS = 30 * 24 * 3600
"""IS-18; the ticket in it is void as soon as the job does not run."""


class WebGateway:
    """Answers for names of pages; everything else goes to `app`."""

    def __init__(self, app: ASGIApp, addresses: WebAddresses, routes: Routes) -> None:
        self._others = app
        self._addresses = addresses
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._addresses.page_of(_host(scope)) if scope["type"] in ("http", "websocket") else None
        if page is None:
            await self._others(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(page, scope, receive, send)
        elif scope["path"] == f"/ucloud/{self._addresses.provider_id}/{AUTHORIZE}":
            await (await self._authorize(page, scope))(scope, receive, send)
        else:
            await self._forward(page, scope, receive, send)

    # ---------------------------------------------------------------------------------------------- permission

    async def _authorize(self, page: Page, scope: Scope) -> Response:
        ticket = QueryParams(scope["query_string"]).get("token", "")
        try:
            await self._route(page, ticket)
        except NoSuchSession as refused:
            return pages.not_allowed(refused.why)
        except NotReady as refused:
            return pages.away(refused.why)
        answer = RedirectResponse("/", 302)
        answer.headers["Set-Cookie"] = self._cookie(page, ticket)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def _cookie(self, page: Page, ticket: str) -> str:
        name = _cookie_name(page)
        made: SimpleCookie = SimpleCookie({name: ticket})
        made[name]["path"], made[name]["max-age"], made[name]["samesite"] = "/", str(COOKIE_SECONDS), "Lax"
        made[name]["httponly"] = True
        made[name]["secure"] = self._addresses.scheme == "https"
        return made[name].OutputString()

    async def _route(self, page: Page, ticket: str | None) -> Route:
        """Of a ticket for this very page. Raises `NoSuchSession`, `NotReady`."""
        if not ticket:
            raise NoSuchSession("You have no session here.")
        route, source = await self._routes.find(ticket)
        if (source.job, source.rank, source.kind) != (page.job, page.rank, "WEB"):
            raise NoSuchSession("This session is for another page.")
        return route

    # ------------------------------------------------------------------------------------------------- requests

    async def _forward(self, page: Page, scope: Scope, receive: Receive, send: Send) -> None:
        sent = _Sent(send)
        try:
            route = await self._route(page, headers.cookie(scope["headers"], _cookie_name(page)))
            await _exchange(route, scope, receive, sent)
        except NoSuchSession as refused:
            await sent.instead(pages.not_allowed(refused.why), scope, receive)
        except NotListening:
            await sent.instead(pages.not_listening(), scope, receive)
        except Refused as refused:
            await sent.instead(pages.away(refused.why), scope, receive)
        except BROKEN as broke:
            log.info("an application broke off", job=page.job, rank=page.rank, problem=repr(broke))
            await sent.instead(pages.broken(), scope, receive)

    async def _socket(self, page: Page, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            route = await self._route(page, headers.cookie(scope["headers"], _cookie_name(page)))
            await relay_socket(route, scope, receive, send)
        except Refused as refused:
            status = 502 if isinstance(refused, NotListening) else refused.status
            denial = Response(refused.why, status, media_type="text/plain")
            await denial(scope, receive, send)


class _Sent:
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


async def _exchange(route: Route, scope: Scope, receive: Receive, sent: _Sent) -> None:
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


async def _answer(
    route: Route, method: str, target: bytes, given: list[headers.Pair], body: _Body, sent: _Sent
) -> None:
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


def _cookie_name(page: Page) -> str:
    return f"{headers.COOKIE}{page.job}-{page.rank}-web"


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""
