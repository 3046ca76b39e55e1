"""What the Core tells of wallets is understood, and heard again after every break (ACC-16, control-api 9)."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve

from tests.support.wait import async_wait_until
from ucloud_ray.core_client import notice_stream
from ucloud_ray.core_client.notice_stream import NoticeStream
from ucloud_ray.core_client.notices import BadNotice, NoticeReader, WalletNotice, login
from ucloud_ray.domain.job import Owner


def text(words: str) -> bytes:
    return struct.pack(">I", len(words.encode())) + words.encode()


def user(number: int, name: str) -> bytes:
    return struct.pack(">BI", 4, number) + text(name)


def project(number: int, id: str) -> bytes:
    return struct.pack(">BIq", 2, number, 1) + text(json.dumps({"id": id, "createdAt": -62135596800000}))


def category(number: int, name: str) -> bytes:
    return struct.pack(">BI", 3, number) + text(json.dumps({"name": name, "provider": "example"}))


def wallet(workspace: int, of: int, flags: int, at: int = 5) -> bytes:
    return struct.pack(">BIIqqIq", 1, workspace, of, 100, 50, flags, at)


ALICE = user(0, "alice") + category(0, "cpu") + wallet(0, 0, 1)


def test_users_and_projects_are_counted_apart_and_known_on_the_whole_connection() -> None:
    """O20."""
    reader = NoticeReader()
    first = reader.wallets(
        user(0, "alice") + project(0, "p-1") + category(0, "cpu") + wallet(0, 0, 1) + wallet(0, 0, 2)
    )
    assert first == [
        WalletNotice(Owner("alice"), "cpu", "example", locked=True, updated_at=5),
        WalletNotice(Owner("", "p-1"), "cpu", "example", locked=False, updated_at=5),
    ]
    assert [notice.owner.project for notice in reader.wallets(project(0, "p-1") + wallet(0, 0, 3, at=9))] == ["p-1"]


@pytest.mark.parametrize(
    "frame", [b"\x09", wallet(0, 0, 0), ALICE[:-1], user(0, "alice")[:-1], struct.pack(">BI", 3, 0) + text("[]")]
)
def test_a_frame_that_cannot_be_read_is_refused(frame: bytes) -> None:
    with pytest.raises(BadNotice):
        NoticeReader().wallets(frame)


@given(st.binary(max_size=200))
def test_nothing_that_is_sent_does_harm(frame: bytes) -> None:
    reader = NoticeReader()
    try:
        reader.wallets(frame)
    except BadNotice:
        return


class Core:
    """Its socket: sends these frames to each connection, then closes it."""

    def __init__(self) -> None:
        self.frames = [ALICE]
        self.logins: list[bytes] = []

    async def access_token(self) -> str:
        return "a token"

    async def serve(self, socket: ServerConnection) -> None:
        self.logins.append(bytes(await socket.recv(decode=False)))
        for frame in self.frames:
            await socket.send(frame)


@asynccontextmanager
async def listening(core: Core, told: list[WalletNotice]) -> AsyncIterator[None]:
    async with serve(core.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        stream = NoticeStream(core, f"http://127.0.0.1:{port}", told.append)  # type: ignore[arg-type]  # only its token
        running = asyncio.create_task(stream.run())
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(notice_stream, "AGAIN_SECONDS", 0.01)
    with capture_logs():
        yield


async def until(condition: Callable[[], object], what: str) -> None:
    async def observe() -> object:
        return condition()

    await async_wait_until(observe, what, timeout=5)


async def test_a_connection_that_ends_is_made_again_and_goes_on_where_it_was() -> None:
    core, told = Core(), list[WalletNotice]()
    async with listening(core, told):
        await until(lambda: len(core.logins) >= 2, "a second connection")
    assert told[0] == WalletNotice(Owner("alice"), "cpu", "example", locked=True, updated_at=5)
    assert core.logins[:2] == [login("a token", 0), login("a token", 5)]
    assert core.logins[0] == struct.pack(">BqQ", 0, 0, 0) + text("a token")


async def test_a_frame_that_cannot_be_read_costs_its_connection_only() -> None:
    core, told = Core(), list[WalletNotice]()
    core.frames = [b"\x09", ALICE]
    async with listening(core, told):
        await until(lambda: core.logins, "a connection")
        core.frames = [ALICE]
        await until(lambda: told, "a wallet")
