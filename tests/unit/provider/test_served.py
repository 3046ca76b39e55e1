"""The same application behind a real server, for what only a real socket shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.wait import async_wait_until
from tests.unit.provider.conftest import SETTINGS
from tests.unit.provider.fakes import RecordingService, ScriptedFollower
from ucloud_ray.control.service import LogChunk

FOLLOW = "ucloud/jobs.provider.example/websocket"
INIT = {"call": "jobs.provider.example.follow", "streamId": "ignored", "payload": {"type": "init", "job": {"id": "1"}}}


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[str]:
    """HOST:PORT of a server in this event loop."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await async_wait_until(lambda: asyncio.sleep(0, server.started), "the server to listen")
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_a_bad_token_is_answered_by_status_in_the_handshake(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{address}/{FOLLOW}", additional_headers={"Authorization": "Bearer x"})
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["why"]


async def test_a_connection_that_breaks_lets_go_of_the_follower(
    address: str, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """LOG-12."""
    follower.chunks, follower.then = [LogChunk(0, stdout="x")], "wait"
    headers = {"Authorization": core_headers["Authorization"]}
    async with connect(f"ws://{address}/{FOLLOW}", additional_headers=headers) as socket:
        await socket.send(json.dumps(INIT))
        assert [json.loads(await socket.recv()).get("type") for _ in range(2)] == [None, "message"]
        assert follower.closed == []
        socket.transport.abort()
    await async_wait_until(lambda: asyncio.sleep(0, follower.closed), "the follower to be let go")


async def test_the_end_of_a_stream_closes_the_connection_properly(
    address: str, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    headers = {"Authorization": core_headers["Authorization"]}
    async with connect(f"ws://{address}/{FOLLOW}", additional_headers=headers) as socket:
        await socket.send(json.dumps(INIT))
        received = [json.loads(text) async for text in socket]
    assert [frame.get("type") for frame in received] == [None, "response"]
    assert (socket.close_code, len(follower.closed)) == (1000, 1)


async def test_an_endless_upload_is_answered_while_it_is_sent(
    address: str, core_headers: dict[str, str], service: RecordingService
) -> None:
    """A chunked body without a length: the answer comes and the server closes, long before 100 MB."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    head = f"POST /ucloud/example/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {core_headers['Authorization']}\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
    for _ in range(SETTINGS.provider.max_body_bytes // 0xFFFF + 1):
        writer.write(piece)
    status = await reader.readline()
    answer = await reader.read()
    writer.close()
    assert b" 413 " in status
    assert b"connection: close" in answer.lower()
    assert service.calls == []
