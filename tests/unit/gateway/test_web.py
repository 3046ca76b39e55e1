"""Web pages of jobs through the gateway (IS-17 to IS-24): real HTTP and web sockets on both sides."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.asyncio.client as client
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support.terminals import NO_TERMINALS
from tests.unit.gateway.application import application, served
from tests.unit.gateway.world import KEY, Ports
from ucloud_ray.control.relay import Relay
from ucloud_ray.gateway import routes
from ucloud_ray.gateway.addresses import Page, WebAddresses
from ucloud_ray.gateway.routes import Routes
from ucloud_ray.gateway.web import WebGateway

TICKET = "ticket-of-41-0"
HOST = "app-41-0.localhost"
MEGABYTE = 1024 * 1024


@dataclass
class World:
    ports: Ports
    application: Starlette
    gateway_port: int
    http: httpx.AsyncClient
    """A browser that has been to `authorize-app`."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.gateway_port}"


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(routes, "TRUSTED_SECONDS", 0.0)
    monkeypatch.setattr(socket, "getaddrinfo", _as_a_browser(socket.getaddrinfo))
    app = application()
    relay = Relay(tmp_path, KEY, NO_TERMINALS)
    ports = Ports(await relay.start("127.0.0.1"))
    found = Routes(ports)
    others = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("the provider itself"))])
    async with served(app) as application_port:
        ports.pages[TICKET] = ("41", 0, "WEB", application_port)
        gateway = WebGateway(others, WebAddresses("example", "app-", ".localhost", "http", None), found)
        async with served(gateway) as gateway_port, httpx.AsyncClient(trust_env=False) as http:
            world = World(ports, app, gateway_port, http)
            await http.get(f"{world.url}/ucloud/example/authorize-app?token={TICKET}")
            yield world
    await found.close()
    await relay.close()


def _as_a_browser(find: Any) -> Any:
    """Browsers look for names below `.localhost` on their own machine; not every system's resolver does."""

    def found(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return find("127.0.0.1" if name and name.endswith(".localhost") else host, *arguments, **named)

    return found


# ------------------------------------------------------------------------------------------------------ permission


async def test_the_redirect_sets_a_cookie_of_this_page_and_leads_to_its_beginning(world: World) -> None:
    """IS-18."""
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.get(f"{world.url}/ucloud/example/authorize-app?token={TICKET}")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"ucloud-compute-session-41-0-web={TICKET};")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize("path", ["/", "/ucloud/example/authorize-app", "/ucloud/example/authorize-app?token=forged"])
async def test_without_a_session_nobody_gets_in(world: World, path: str) -> None:
    """IS-20."""
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.get(world.url + path)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "page of the job" in answer.text


async def test_a_session_of_another_job_rank_or_kind_does_not_open_this_page(world: World) -> None:
    """IS-19, IS-24."""
    port = world.ports.pages[TICKET][3]
    world.ports.pages |= {"a": ("42", 0, "WEB", port), "b": ("41", 1, "WEB", port), "c": ("41", 0, "VNC", port)}
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for ticket in "abc":
            answer = await stranger.get(f"{world.url}/ucloud/example/authorize-app?token={ticket}")
            assert answer.status_code == 403
            cookie = {"Cookie": f"ucloud-compute-session-41-0-web={ticket}"}
            assert (await stranger.get(world.url, headers=cookie)).status_code == 403


async def test_the_end_of_the_job_is_the_end_of_its_page(world: World) -> None:
    """IS-5, IS-23."""
    assert (await world.http.get(world.url)).status_code == 200
    world.ports.pages.clear()
    assert (await world.http.get(world.url)).status_code == 403


async def test_other_names_are_the_providers(world: World) -> None:
    for host in ("localhost", "127.0.0.1", "app-41.localhost", "app--0.localhost", "app-41-x.localhost", "evil.com"):
        answer = await world.http.get(f"http://127.0.0.1:{world.gateway_port}/", headers={"Host": host})
        assert answer.text == "the provider itself", host


# -------------------------------------------------------------------------------------------------------- requests


async def echoed(world: World, path: str = "/", **how: Any) -> dict[str, Any]:
    answer = await world.http.get(world.url + path, **how)
    content: dict[str, Any] = answer.json()
    return content


async def test_the_application_sees_the_request_as_the_browser_made_it(world: World) -> None:
    """IS-20."""
    seen = await echoed(world, "/a%2Fb/c?q=%20x&q=2", headers={"X-Mine": "1", "Accept-Encoding": "br"})
    headers = dict(seen["headers"])
    assert (seen["method"], seen["target"]) == ("GET", "/a%2Fb/c?q=%20x&q=2")
    assert (headers["host"], headers["x-mine"]) == (f"{HOST}:{world.gateway_port}", "1")
    assert headers["x-forwarded-host"] == headers["host"]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-for"]) == ("http", "127.0.0.1")


async def test_our_cookie_is_not_shown_to_the_application_and_its_own_are(world: World) -> None:
    """IS-20."""
    world.http.cookies.set("theirs", "1", domain=HOST)
    cookies = [value for name, value in (await echoed(world))["headers"] if name == "cookie"]
    assert cookies == ["theirs=1"]


async def test_an_application_cannot_set_a_cookie_of_ours(world: World) -> None:
    answer = await world.http.get(world.url)
    assert answer.headers.get_list("set-cookie") == ["mine=1"]


async def test_a_browser_cannot_claim_to_be_somebody_else(world: World) -> None:
    seen = await echoed(world, headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"})
    forwarded = [(name, value) for name, value in seen["headers"] if name.startswith("x-forwarded-")]
    assert ("x-forwarded-for", "127.0.0.1") in forwarded
    assert "6.6.6.6" not in str(forwarded)


@pytest.mark.parametrize("chunked", [True, False], ids=["of unknown size", "of known size"])
async def test_a_large_upload_goes_through_whole(world: World, chunked: bool) -> None:
    data = os.urandom(20 * MEGABYTE)

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(data), 100_000):
            yield data[begin : begin + 100_000]

    answer = await world.http.post(f"{world.url}/digest", content=pieces() if chunked else data, timeout=60)
    assert answer.text == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


async def test_a_large_answer_comes_through_whole(world: World) -> None:
    answer = await world.http.get(f"{world.url}/large?megabytes=50", timeout=60)
    assert answer.content == b"x" * 50 * MEGABYTE


async def test_an_answer_comes_as_it_is_written(world: World) -> None:
    """Server-sent events: nothing is held back."""
    async with world.http.stream("GET", f"{world.url}/events") as answer:
        lines = answer.aiter_lines()
        assert await asyncio.wait_for(anext(lines), 5) == "data: first"
        await world.http.get(f"{world.url}/go")
        assert [line async for line in lines if line] == ["data: second"]


async def test_a_browser_that_leaves_ends_the_request_at_the_application(world: World) -> None:
    asking = asyncio.create_task(world.http.get(f"{world.url}/forever", timeout=60))
    await asyncio.wait_for(world.application.state.listening.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(world.application.state.left.wait(), 5)


async def test_many_requests_at_once_are_answered(world: World) -> None:
    answers = await asyncio.gather(*(world.http.get(f"{world.url}/{number}", timeout=30) for number in range(100)))
    assert [answer.json()["target"] for answer in answers] == [f"/{number}" for number in range(100)]


# --------------------------------------------------------------------------------------------------- trouble


async def test_an_application_that_does_not_listen_yet_is_a_page_that_looks_again(world: World) -> None:
    """IS-22."""
    job, rank, kind, _ = world.ports.pages[TICKET]
    world.ports.pages[TICKET] = (job, rank, kind, 1)
    answer = await world.http.get(world.url)
    assert answer.status_code == 502
    assert '<meta http-equiv="refresh"' in answer.text


async def test_a_supervisor_that_is_away_is_told_and_passes(world: World) -> None:
    world.ports.is_away = True
    assert (await world.http.get(world.url)).status_code == 503
    world.ports.is_away = False
    assert (await world.http.get(world.url)).status_code == 200


async def test_an_application_that_speaks_no_http_is_a_page_that_says_so(world: World) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    job, rank, kind, _ = world.ports.pages[TICKET]
    world.ports.pages[TICKET] = (job, rank, kind, server.sockets[0].getsockname()[1])
    answer = await world.http.get(world.url)
    assert answer.status_code == 502
    assert "broke off" in answer.text
    server.close()


# ------------------------------------------------------------------------------------------------------- sockets


def talk(world: World, path: str = "/talk", cookie: str | None = TICKET, **how: Any) -> client.connect:
    headers = {} if cookie is None else {"Cookie": f"ucloud-compute-session-41-0-web={cookie}"}
    url = world.url.replace("http", "ws") + path
    return client.connect(url, additional_headers=headers, proxy=None, max_size=None, **how)


async def test_messages_of_a_web_socket_go_both_ways(world: World) -> None:
    async with talk(world) as talking:
        for message in ("abc", b"\x00\xff", "€uro", "", b"", "x" * 2_000_000):
            await talking.send(message)
            assert await talking.recv() == message[::-1]


async def test_the_subprotocol_is_the_applications_choice(world: World) -> None:
    async with talk(world, subprotocols=[Subprotocol("one"), Subprotocol("two")]) as talking:
        assert talking.subprotocol == "two"


async def test_why_a_web_socket_was_closed_is_handed_on(world: World) -> None:
    async with talk(world) as talking:
        await talking.send("close")
        with pytest.raises(ConnectionClosed):
            await talking.recv()
        assert (talking.close_code, talking.close_reason) == (4001, "as you wish")


@pytest.mark.parametrize(
    ("path", "cookie", "status"), [("/talk", None, 403), ("/talk", "forged", 403), ("/refuse", TICKET, 403)]
)
async def test_a_web_socket_is_refused_in_its_handshake(
    world: World, path: str, cookie: str | None, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with talk(world, path, cookie):
            pass
    assert refused.value.response.status_code == status


# --------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("app-41-0.localhost", Page("41", 0)),
        ("APP-41-12.LOCALHOST:8889", Page("41", 12)),
        ("app-a-b-1.localhost", Page("a-b", 1)),
        ("app-41-01.localhost", None),
        ("app-41-.localhost", None),
        ("xapp-41-0.localhost", None),
        ("app-41-0.localhost.evil.com", None),
        ("", None),
    ],
)
def test_a_name_is_read_as_it_was_made(host: str, page: Page | None) -> None:
    """IS-19."""
    addresses = WebAddresses("example", "app-", ".localhost", "https", 8443)
    assert addresses.page_of(host) == page
    if page is not None and host.islower():
        assert addresses.origin(page) == f"https://{host}:8443"
