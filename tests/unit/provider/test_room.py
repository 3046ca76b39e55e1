"""What is too much for the front end is refused at once and with nothing done (D10, LOG-10, provider-api 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.wait import async_wait_until
from tests.unit.provider.conftest import SETTINGS
from tests.unit.provider.fakes import RecordingService, ScriptedFollower, ScriptedReader
from tests.unit.provider.sockets import connect
from tests.unit.provider.test_follow import SOCKET, init
from ucloud_ray.control.errors import TooMany
from ucloud_ray.control.service import FollowItem, Place
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.provider import endpoint
from ucloud_ray.provider.app import create_app
from ucloud_ray.provider.auth import TokenVerifier

TERMINATE = "/ucloud/example/jobs/terminate"
BODY = {"items": [{"id": "1"}]}


class SlowService(RecordingService):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.asked = 0

    async def count(self) -> bool:
        return self.asked == 2

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        self.asked += 1
        await self.go.wait()


class EndlessFollower(ScriptedFollower):
    async def follow(
        self, ref: JobRef, begin: Mapping[Place, int] | None = None, with_usage: bool = False
    ) -> AsyncIterator[FollowItem]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]  # makes it a generator


def app_with(
    service: RecordingService, follower: ScriptedFollower, verifier: TokenVerifier, **provider: Any
) -> FastAPI:
    settings = replace(SETTINGS, provider=replace(SETTINGS.provider, **provider))
    return create_app(service, follower, ScriptedReader(), settings, verifier)


def client(app: FastAPI, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider", headers=headers)


async def test_more_calls_than_are_answered_at_once_are_refused_and_the_next_ones_are_not(
    verifier: TokenVerifier, core_headers: dict[str, str]
) -> None:
    """O15: 503 makes the Core try again by itself."""
    service = SlowService()
    app = app_with(service, ScriptedFollower(), verifier, max_requests=2)
    async with client(app, core_headers) as core:
        waiting = [asyncio.ensure_future(core.post(TERMINATE, json=BODY)) for _ in range(2)]
        await async_wait_until(service.count, "both calls to arrive", timeout=5)
        refused = await core.post(TERMINATE, json=BODY)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert "2 calls" in refused.json()["why"]
        assert service.asked == 2
        service.go.set()
        assert [(await answer).status_code for answer in waiting] == [200, 200]
        assert (await core.post(TERMINATE, json=BODY)).status_code == 200


async def test_who_shows_no_token_takes_no_room(verifier: TokenVerifier, core_headers: dict[str, str]) -> None:
    service = SlowService()
    app = app_with(service, ScriptedFollower(), verifier, max_requests=0)
    async with client(app, {}) as stranger:
        assert (await stranger.post(TERMINATE, json=BODY)).status_code == 401


async def test_bodies_that_are_too_much_together_are_not_read_to_their_end(
    verifier: TokenVerifier, core_headers: dict[str, str]
) -> None:
    """Each of them is allowed alone; the memory of those that were refused is given back."""
    service = SlowService()
    app = app_with(service, ScriptedFollower(), verifier, max_body_bytes=1000)
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"items": [], "filler": "' + b"x" * 900
        await more.wait()
        yield b'"}'

    async with client(app, core_headers) as core:
        reading = [asyncio.ensure_future(core.post(TERMINATE, content=body())) for _ in range(8)]
        await asyncio.sleep(0.05)
        refused = await core.post(TERMINATE, content=b"x" * 900)
        assert (refused.status_code, refused.headers["Connection"]) == (503, "close")
        more.set()
        service.go.set()
        assert {(await answer).status_code for answer in reading} == {200}
        assert (await core.post(TERMINATE, json=BODY)).status_code == 200


async def test_a_body_that_never_ends_gives_its_place_back(
    verifier: TokenVerifier, core_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.02)
    app = app_with(SlowService(), ScriptedFollower(), verifier, max_requests=1)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async with client(app, core_headers) as core:
        assert (await core.post(TERMINATE, content=body())).status_code == 408
        assert (await core.post("/ucloud/example/jobs/init", json={})).status_code == 200


async def test_too_much_of_something_is_told_with_when_to_come_again(
    verifier: TokenVerifier, core_headers: dict[str, str]
) -> None:
    service = RecordingService()
    service.failure = TooMany("Full.")
    async with client(app_with(service, ScriptedFollower(), verifier), core_headers) as core:
        answer = await core.post(TERMINATE, json=BODY)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["why"]) == (429, "60", "Full.")


async def test_more_streams_than_may_be_open_are_refused_until_one_ends(
    verifier: TokenVerifier, core_headers: dict[str, str]
) -> None:
    app = app_with(RecordingService(), EndlessFollower(), verifier, max_follows=1)
    async with connect(app, SOCKET, headers=core_headers) as first:
        await first.receive()
        await first.send(init("1", "a"))
        async with connect(app, SOCKET, headers=core_headers) as second:
            await second.receive()
            await second.send(init("2", "b"))
            refused = await second.receive()
            assert (refused["type"], refused["status"], refused["streamId"]) == ("response", 429, "b")
    async with connect(app, SOCKET, headers=core_headers) as third:
        await third.receive()
        await third.send(init("3", "c"))
        await third.send(init("4", "d"))
        assert (await third.receive())["streamId"] == "d"
