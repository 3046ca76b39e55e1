"""Web pages of jobs (IS-17 to IS-24): an ASGI application for every name of `addresses`, in front of all others.

    /ucloud/P/authorize-app?token=T ──▶ cookie, then /        everything else with the cookie ──▶ the application

The token is a ticket of the supervisor's (`control.sessions`), and so is the cookie: nothing is kept here, and a
restart costs only the open connections (IS-23).
"""

from __future__ import annotations

from http.cookies import SimpleCookie

import structlog
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ucloud_ray.control.errors import NoSuchSession, NotReady, Refused
from ucloud_ray.gateway import headers, pages
from ucloud_ray.gateway.addresses import AUTHORIZE, Page, WebAddresses
from ucloud_ray.gateway.exchange import Sent, exchange
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
        sent = Sent(send)
        try:
            route = await self._route(page, headers.cookie(scope["headers"], _cookie_name(page)))
            await exchange(route, scope, receive, sent)
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


def _cookie_name(page: Page) -> str:
    return f"{headers.COOKIE}{page.job}-{page.rank}-web"


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
