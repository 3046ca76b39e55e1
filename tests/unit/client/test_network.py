"""The same calls over real connections, waited for and awaited: nothing here knows which of the two it is."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.unit.cli.fake_core import job
from tests.unit.client.conftest import AT_ONCE
from tests.unit.client.test_following import END, message, refusal, stdout
from ucloud_ray.client import (
    AnswerLost,
    AsyncClient,
    Client,
    NotPermitted,
    OutputSeen,
    Retry,
    Seen,
    StateSeen,
    Unavailable,
)

CUT = object()
"""In a script: the connection is cut without a word."""


@dataclass
class Server:
    """Answers `retrieve` with one job, and plays one script per WebSocket."""

    scripts: list[list[Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    open_sockets: int = 0

    def http(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path == "/api/jobs":
            return None
        answer = connection.respond(HTTPStatus.OK, json.dumps(job("7", "RUNNING")))
        answer.headers["Content-Type"] = "application/json"
        return answer

    def play(self, connection: ServerConnection) -> None:
        self.open_sockets += 1
        try:
            self.asked.append(json.loads(connection.recv()))
            for frame in self.scripts.pop(0):
                if frame is CUT:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
                connection.send(json.dumps(frame))
            for _ in connection:  # until the client leaves
                pass
        finally:
            self.open_sockets -= 1


@pytest.fixture
def server() -> Iterator[Server]:
    playing = Server()
    with serve(playing.play, "127.0.0.1", 0, process_request=playing.http) as running:
        playing.url = f"http://127.0.0.1:{running.socket.getsockname()[1]}"
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield playing
        running.shutdown()
        thread.join()


def waited(url: str) -> list[Seen]:
    with Client(url, "t0ken", retry=AT_ONCE) as client:
        return list(client.jobs.handle("7").follow())


def awaited(url: str) -> list[Seen]:
    async def run() -> list[Seen]:
        async with AsyncClient(url, "t0ken", retry=AT_ONCE) as client:
            return [seen async for seen in client.jobs.handle("7").follow()]

    return asyncio.run(run())


Follow = Callable[[str], list[Seen]]
both = pytest.mark.parametrize("follow", [waited, awaited])


@both
def test_a_connection_that_is_cut_costs_no_output_and_repeats_none(server: Server, follow: Follow) -> None:
    entries = [message(log=[stdout(f"{number}\n") | {"offset": 2 * number + 2}]) for number in range(3)]
    server.scripts = [[entries[0], CUT], [entries[1], CUT], [entries[2], message("SUCCESS"), END]]
    seen = follow(server.url)
    assert seen == [
        StateSeen("RUNNING", ""),
        *(OutputSeen(0, "stdout", f"{number}\n") for number in range(3)),
        StateSeen("SUCCESS", ""),
    ]
    resumed = [frame["payload"]["resume"] for frame in server.asked]
    assert [place["offset"] for resume in resumed for place in resume] == [2, 4]


@both
def test_a_refusal_on_the_socket_is_an_error(server: Server, follow: Follow) -> None:
    server.scripts = [[refusal(403, "not yours")]]
    with pytest.raises(NotPermitted, match="not yours"):
        follow(server.url)


def test_who_stops_listening_leaves_the_socket(server: Server) -> None:
    server.scripts = [[message(log=[stdout("a")])], [message(log=[stdout("a")])]]
    with Client(server.url, "t0ken") as client:
        listening = client.jobs.handle("7").follow()
        next(listening)
        assert next(listening) == OutputSeen(0, "stdout", "a")
        listening.close()  # type: ignore[attr-defined]  # as a `for` that was left does

    async def run() -> None:
        async with AsyncClient(server.url, "t0ken") as client:
            async for seen in client.jobs.handle("7").follow():
                if isinstance(seen, OutputSeen):
                    break

    asyncio.run(run())
    assert len(server.asked) == 2


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_says_nothing_is_given_up(server: Server) -> None:
    with silent() as url:
        hasty = Retry(patience=0.0)
        with Client(url, "t", timeout=0.05, retry=hasty) as client:
            with pytest.raises(Unavailable, match="does not answer in time"):
                client.jobs.retrieve("7")
            with pytest.raises(AnswerLost):
                client.request("POST", "/api/jobs", body={})

        async def run() -> None:
            async with AsyncClient(url, "t", timeout=0.05, retry=hasty) as client:
                with pytest.raises(AnswerLost):
                    await client.request("POST", "/api/jobs", body={})

        asyncio.run(run())


def test_a_port_where_nothing_listens_is_not_a_lost_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with (
        Client(url, "t", retry=Retry(patience=0.0)) as client,
        pytest.raises(Unavailable, match="nothing answers") as raised,
    ):
        client.request("POST", "/api/jobs", body={})
    assert not isinstance(raised.value, AnswerLost)


def test_a_cancelled_wait_ends_at_once() -> None:
    def never_over(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=job("7", "RUNNING"))

    async def run() -> None:
        async with AsyncClient("http://core.invalid", "t", transport=httpx.MockTransport(never_over)) as client:
            waiting = asyncio.create_task(client.jobs.handle("7").wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(run())
