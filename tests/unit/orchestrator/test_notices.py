"""The notification socket against a real server: login, replay, what is told when, and its bytes (control-api 9)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from tests.unit.orchestrator.test_follow import listening
from tests.unit.orchestrator.test_wallets import charge, grant, report, usage, without_grant
from ucloud_ray.orchestrator import notice_records, tables, tokens
from ucloud_ray.orchestrator.orchestrator import now_millis
from ucloud_ray.orchestrator.serve import uvicorn_server
from ucloud_ray.orchestrator.settings import OrchestratorSettings

Record = tuple[Any, ...]


@dataclass
class Client:
    """Reads the records as the documentation describes them, with nothing of ours."""

    socket: ClientConnection
    retired: bool = False
    users: dict[int, str] = field(default_factory=dict)
    projects: dict[int, Any] = field(default_factory=dict)
    categories: dict[int, Any] = field(default_factory=dict)
    known: list[Record] = field(default_factory=list)

    async def wallet(self) -> Record:
        """Who, category, quota, usage, flags of the next one. Fails for a reference that was not announced."""
        while not self.known:
            self._read(bytes(await asyncio.wait_for(self.socket.recv(decode=False), 10)))
        return self.known.pop(0)

    def _read(self, data: bytes) -> None:
        at = 0

        def number(form: str) -> int:
            nonlocal at
            (found,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
            return int(found)

        def text() -> str:
            nonlocal at
            size = number(">I")
            at += size
            assert at <= len(data)
            return data[at - size : at].decode()

        while at < len(data):
            match number(">B"):
                case 4:
                    reference = number(">I")
                    self.users[reference] = text()
                case 2:
                    reference, modified = number(">I"), number(">q")
                    self.projects[reference] = json.loads(text())
                    assert self.projects[reference]["modifiedAt"] == modified
                case 3:
                    reference = number(">I")
                    self.categories[reference] = json.loads(text())
                case 1:
                    workspace, category = number(">I"), number(">I")
                    quota, used, flags, updated = number(">q"), number(">q"), number(">I"), number(">q")
                    assert abs(now_millis() - updated) < 600_000
                    assert not self.retired or number(">Q") == 0
                    name = self.projects[workspace]["id"] if flags & 2 else self.users[workspace]
                    self.known.append((name, self.categories[category]["name"], quota, used, flags))


@dataclass
class Server:
    setup: Setup
    url: str

    @contextlib.asynccontextmanager
    async def client(self, since: int = 0, flags: int = 0) -> AsyncIterator[Client]:
        async with connect(self.url, proxy=None) as socket:
            await socket.send(login(tokens.provider_token(self.setup.orchestrator.keys, "example"), since, flags))
            yield Client(socket, retired=bool(flags & 1))


def login(token: str, since: int = 0, flags: int = 0) -> bytes:
    encoded = token.encode()
    return struct.pack(">BqQI", 0, since, flags, len(encoded)) + encoded


def replay(user: str) -> bytes:
    return struct.pack(">BI", 5, len(user.encode())) + user.encode()


@pytest.fixture
async def server(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Server]:
    here = replace(without_grant(settings), listen="127.0.0.1:0")
    async with running(here, provider) as setup, listening(uvicorn_server(setup.orchestrator)) as port:
        yield Server(setup, f"ws://127.0.0.1:{port}/api/accounting/notifications")


async def test_what_there_is_comes_first_and_then_what_changes(server: Server) -> None:
    """The lock is told when the wallet is empty and when it is not any more, plain usage is not told by itself."""
    setup = server.setup
    await grant(setup, 100)
    async with server.client() as client:
        assert await client.wallet() == ("user", "example-compute", 100, 0, 0)
        await report(setup, usage(40))
        await report(setup, usage(100))
        assert await client.wallet() == ("user", "example-compute", 100, 100, 1)
        await grant(setup, 50)
        assert await client.wallet() == ("user", "example-compute", 150, 100, 0)
        job = await setup.create()
        await charge(setup, (job, "a", 1))
        assert await client.wallet() == ("user", "example-compute", 150, 150, 1)
        assert (client.users, client.known) == ({0: "user"}, [])


async def test_users_and_projects_are_counted_apart(server: Server) -> None:
    """O20."""
    project = {"type": "project", "projectId": "5a1b"}
    await grant(server.setup, 5)
    await grant(server.setup, 6, project)
    async with server.client(flags=1) as client:
        assert [await client.wallet(), await client.wallet()] == [
            ("user", "example-compute", 5, 0, 0),
            ("5a1b", "example-compute", 6, 0, 2),
        ]
        assert (list(client.users), list(client.projects), list(client.categories)) == ([0], [0], [0])
        assert client.categories[0]["accountingFrequency"] == "PERIODIC_MINUTE"
        assert client.projects[0]["specification"]["canConsumeResources"] is True


async def test_the_replay_begins_where_the_client_says(server: Server) -> None:
    await grant(server.setup, 5)
    async with server.client(since=now_millis() + 60_000) as client:
        await grant(server.setup, 6, {"type": "user", "username": "other"})
        assert (await client.wallet())[0] == "other"


async def test_a_user_is_told_again_when_asked_for(server: Server) -> None:
    await grant(server.setup, 5)
    await grant(server.setup, 6, {"type": "user", "username": "other"})
    async with server.client(since=now_millis() + 60_000) as client:
        await client.socket.send(replay("nobody") + replay("other"))
        assert await client.wallet() == ("other", "example-compute", 6, 0, 0)


async def test_an_allocation_that_ends_locks_its_wallet(
    settings: OrchestratorSettings, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request brings that about."""
    monkeypatch.setattr("ucloud_ray.orchestrator.wallets.WATCH_SECONDS", 0.02)
    here = replace(without_grant(settings), listen="127.0.0.1:0")
    async with running(here, provider) as setup, listening(uvicorn_server(setup.orchestrator)) as port:
        server = Server(setup, f"ws://127.0.0.1:{port}/api/accounting/notifications")
        async with server.client() as client:
            await grant(setup, 5)
            assert await client.wallet() == ("user", "example-compute", 5, 0, 0)
            soon = update(tables.allocations).values(end_date=now_millis() + 50)
            await setup.orchestrator._database.write(lambda connection: connection.execute(soon))
            assert await client.wallet() == ("user", "example-compute", 0, 0, 1)
        assert (await setup.post("/api/jobs", batch())).status_code == 402


@pytest.mark.parametrize(
    "first",
    [b"", b"\x00", b"\x07", replay("user"), login("wrong"), login(""), b"\x00" * 17 + b"\xff\xff\xff\xff", "text"],
    ids=["nothing", "half", "unknown", "replay", "bad-token", "no-token", "too-short", "text"],
)
async def test_whoever_does_not_log_in_hears_nothing(server: Server, first: bytes | str) -> None:
    await grant(server.setup, 5)
    async with connect(server.url, proxy=None) as socket:
        await socket.send(first)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


async def test_users_do_not_hear_about_wallets(server: Server) -> None:
    token = server.setup.user(admin=True)["Authorization"].removeprefix("Bearer ")
    async with connect(server.url, proxy=None) as socket:
        await socket.send(login(token))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


async def test_a_client_that_talks_nonsense_later_is_shown_the_door_and_leaves_nothing_behind(server: Server) -> None:
    async with server.client() as client:
        await client.socket.send(b"\x09")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.socket.recv(), 10)

    async def nobody_listens() -> bool:
        return not server.setup.orchestrator.wallets._feed._listeners

    await async_wait_until(nobody_listens, "the listener to be gone")


@given(st.binary(max_size=60))
def test_any_bytes_are_requests_or_a_bad_frame(data: bytes) -> None:
    with contextlib.suppress(notice_records.BadFrame):
        for request in notice_records.requests(data):
            assert isinstance(request, notice_records.Login | notice_records.ReplayUser)
