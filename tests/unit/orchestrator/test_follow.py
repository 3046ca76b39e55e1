"""Following a job over real sockets, between a real server and a fake provider (end-user-api 7, W19, O13)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import Setup, example, running
from tests.unit.orchestrator.fake_provider import FakeProvider, support_entry
from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.credentials import issue_user_token
from ucloud_ray.orchestrator.serve import uvicorn_server
from ucloud_ray.orchestrator.settings import OrchestratorSettings

Script = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]
PING = orjson.dumps({"ping": "pong"}).decode()


@dataclass
class Followed:
    setup: Setup
    url: str
    output: ScriptedOutput

    def request(self, job_id: str, **changes: Any) -> dict[str, Any]:
        token = issue_user_token(self.setup.data_dir, "user")
        frame = {"call": "jobs.follow", "streamId": "7", "payload": {"id": job_id}, "bearer": token, "project": None}
        return frame | changes

    @contextlib.asynccontextmanager
    async def following(self, job_id: str, **changes: Any) -> AsyncIterator[ClientConnection]:
        async with connect(self.url, proxy=None) as socket:
            await socket.send(orjson.dumps(self.request(job_id, **changes)), text=True)
            yield socket


class ScriptedOutput:
    """The provider's follow socket: runs `script` for every connection."""

    def __init__(self) -> None:
        self.script: Script = ended
        self.connections: list[ServerConnection] = []
        self.requests: list[dict[str, Any]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, socket: ServerConnection) -> None:
        self.connections.append(socket)
        request = orjson.loads(await socket.recv())
        self.requests.append(request)
        await self.script(socket, request)


async def ended(socket: ServerConnection, request: dict[str, Any]) -> None:
    await send(socket, request, "response", status=200)


async def send(socket: ServerConnection, request: dict[str, Any], kind: str = "message", **fields: Any) -> None:
    status = fields.pop("status", None)
    payload = {"streamId": "s", "rank": 0, "stdout": None, "stderr": None, **fields}
    frame = {"type": kind, "streamId": request["streamId"], "payload": payload}
    await socket.send(orjson.dumps(frame if status is None else frame | {"status": status}), text=True)


@contextlib.asynccontextmanager
async def followed(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Followed]:
    output = ScriptedOutput()
    async with serve(output, "127.0.0.1", 0) as sockets:
        port = next(iter(sockets.sockets)).getsockname()[1]
        here = replace(settings, listen="127.0.0.1:0", provider_url=f"http://127.0.0.1:{port}")
        async with running(here, provider) as setup, listening(uvicorn_server(setup.orchestrator)) as ours:
            try:
                yield Followed(setup, f"ws://127.0.0.1:{ours}/api/jobs", output)
            finally:
                output.go_on.set()  # a test that fails half-way must not wait for its own script


@contextlib.asynccontextmanager
async def listening(server: uvicorn.Server) -> AsyncIterator[int]:
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await server.shutdown()


@pytest.fixture
async def follow(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Followed]:
    async with followed(replace(settings, follow_drain_seconds=0.3), provider) as made:
        yield made


async def frame(socket: ClientConnection) -> dict[str, Any]:
    received: dict[str, Any] = orjson.loads(await asyncio.wait_for(socket.recv(), 10))
    return received


async def rest(socket: ClientConnection) -> list[dict[str, Any]]:
    """Everything up to and with the `response` frame."""
    frames = [await frame(socket)]
    while frames[-1]["type"] != "response":
        frames.append(await frame(socket))
    return frames


def kinds(payload: dict[str, Any]) -> set[str]:
    return {name for name in ("updates", "log", "newStatus", "initialJob") if payload.get(name)}


async def test_a_job_is_followed_from_the_queue_to_its_end_as_documented(follow: Followed) -> None:
    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await socket.send(PING)
        await socket.send("not json")
        await follow.output.go_on.wait()
        await send(socket, request, stdout="GNU bash\n")
        await send(socket, request, stderr="warning", channel=None)
        await ended(socket, request)

    follow.output.script = script
    documented = [entry["frame"]["payload"] for entry in example("user-follow.frames") if entry["from"] == "server"]
    job_id = await follow.setup.create()
    async with follow.following(job_id) as socket:
        first = await frame(socket)
        assert (first["type"], first["streamId"]) == ("message", "7")
        assert set(first["payload"]["newStatus"]) == set(documented[0]["newStatus"])
        assert first["payload"]["newStatus"]["state"] == "IN_QUEUE"
        assert first["payload"]["initialJob"]["id"] == job_id
        assert (first["payload"]["updates"], first["payload"]["log"]) == ([], [])

        await follow.setup.update(job_id, state="RUNNING", status="The job is now running")
        second = (await frame(socket))["payload"]
        assert second["newStatus"]["resolvedApplication"]["metadata"]["name"] == "a-batch-application"
        timestamp = {"timestamp": second["updates"][0]["timestamp"]}
        assert second["updates"] == [documented[1]["updates"][0] | timestamp]
        assert second["log"] == []

        follow.output.go_on.set()
        logs = [(await frame(socket))["payload"]["log"] for _ in range(2)]
        assert logs == [
            [{"rank": 0, "stdout": "GNU bash\n", "stderr": None}],
            [{"rank": 0, "stdout": None, "stderr": "warning"}],
        ]
        await follow.setup.update(job_id, state="SUCCESS", status="The job is no longer running")
        last, response = await rest(socket)
        assert last["payload"]["newStatus"]["state"] == "SUCCESS"
        assert response == {"type": "response", "streamId": "7", "status": 200, "payload": documented[-1]}


async def test_the_provider_is_asked_once_with_token_user_and_job(follow: Followed) -> None:
    job_id = await follow.setup.create()
    await follow.setup.update(job_id, state="SUCCESS")
    async with follow.following(job_id) as socket:
        await rest(socket)
    ((connection,), (request,)) = follow.output.connections, follow.output.requests
    assert connection.request is not None
    assert connection.request.path == "/ucloud/jobs.provider.example/websocket?usernameHint=dXNlcg=="
    assert connection.request.headers["Authorization"].startswith("Bearer ")
    assert request["call"] == "jobs.provider.example.follow"
    assert (request["payload"]["type"], request["payload"]["job"]["id"]) == ("init", job_id)


async def test_output_of_an_ended_job_is_replayed(follow: Followed) -> None:
    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="old")
        await send(socket, request, "response", status=200, stdout="last words")

    follow.output.script = script
    job_id = await follow.setup.create()
    await follow.setup.update(job_id, state="FAILURE")
    async with follow.following(job_id) as socket:
        frames = await rest(socket)
    texts = [entry["stdout"] for one in frames for entry in one["payload"]["log"]]
    assert texts == ["old", "last words"]
    assert frames[-1]["status"] == 200


async def test_the_final_state_is_told_after_the_last_output(follow: Followed) -> None:
    """As the mission document shows it: a client that stops reading at a final state has seen everything."""

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await follow.output.go_on.wait()
        await send(socket, request, stdout="last words")
        await ended(socket, request)

    follow.output.script = script
    job_id = await follow.setup.create()
    async with follow.following(job_id) as socket:
        await frame(socket)
        await follow.setup.update(job_id, state="SUCCESS")
        await follow.setup.update(job_id, status="afterwards")
        follow.output.go_on.set()
        messages = [one["payload"] for one in await rest(socket)][:-1]
    assert [kinds(message) for message in messages] == [{"log"}, {"updates", "newStatus"}, {"updates", "newStatus"}]
    assert [message["updates"][0]["status"] for message in messages[1:]] == [None, "afterwards"]


async def test_a_provider_that_never_ends_its_stream_does_not_hold_the_user(follow: Followed) -> None:
    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="x")
        await socket.wait_closed()

    follow.output.script = script
    job_id = await follow.setup.create()
    await follow.setup.update(job_id, state="SUCCESS")
    async with follow.following(job_id) as socket:
        assert (await rest(socket))[-1]["status"] == 200


async def test_a_broken_stream_of_a_running_job_closes_the_socket_so_that_the_client_comes_again(
    follow: Followed,
) -> None:
    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="half")
        await socket.close(1001)

    follow.output.script = script
    async with follow.following(await follow.setup.create()) as socket:
        assert kinds((await frame(socket))["payload"]) == {"initialJob", "newStatus"}
        assert kinds((await frame(socket))["payload"]) == {"log"}
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_stream_of_a_provider_that_tells_offsets_goes_on_where_it_broke(
    follow: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOG-5: the user notices nothing, and sees no offsets that he did not ask for."""
    monkeypatch.setattr("ucloud_ray.orchestrator.log_pump.PAUSE_SECONDS", 0.0)

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        if len(follow.output.connections) == 1:
            await send(socket, request, stdout="one\n", offset=4)
            await send(socket, request, rank=1, stderr="other\n", offset=6)
            await socket.close(1001)
        else:
            await send(socket, request, stdout="two\n", offset=8)
            await socket.wait_closed()

    follow.output.script = script
    async with follow.following(await follow.setup.create()) as socket:
        await frame(socket)
        logs = [(await frame(socket))["payload"]["log"][0] for _ in range(3)]
    assert [log["stdout"] or log["stderr"] for log in logs] == ["one\n", "other\n", "two\n"]
    assert all(set(log) == {"rank", "stdout", "stderr"} for log in logs)
    assert [request["payload"]["resume"] for request in follow.output.requests] == [
        [],
        [{"rank": 0, "stream": "stdout", "offset": 4}, {"rank": 1, "stream": "stderr", "offset": 6}],
    ]


async def test_a_user_who_was_here_before_goes_on_from_his_offsets_and_gets_new_ones(follow: Followed) -> None:
    """LOG-5: as the command line does after a restart of this server."""

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="two\n", offset=8)
        await ended(socket, request)

    follow.output.script = script
    job_id = await follow.setup.create()
    await follow.setup.update(job_id, state="SUCCESS")
    resume = [{"rank": 0, "stream": "stdout", "offset": 4}]
    async with follow.following(job_id, payload={"id": job_id, "resume": resume}) as socket:
        frames = await rest(socket)
    entries = [entry for one in frames for entry in one["payload"]["log"]]
    assert entries == [{"rank": 0, "stdout": "two\n", "stderr": None, "offset": 8}]
    assert follow.output.requests[0]["payload"]["resume"] == resume


@pytest.mark.parametrize("asked", [False, True])
async def test_extra_channels_are_passed_on_to_those_who_ask_for_them(follow: Followed, asked: bool) -> None:
    """W15: the documented client does not expect them."""

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="1,2,3", channel="utilization-data")
        await ended(socket, request)

    follow.output.script = script
    job_id = await follow.setup.create()
    await follow.setup.update(job_id, state="SUCCESS")
    payload = {"id": job_id, "channels": True} if asked else {"id": job_id}
    async with follow.following(job_id, payload=payload) as socket:
        frames = await rest(socket)
    told = [entry["channel"] for one in frames for entry in one["payload"]["log"]]
    assert told == (["utilization-data"] if asked else [])
    assert follow.output.requests[0]["payload"]["channels"] is asked


async def test_a_stream_that_breaks_at_the_end_of_the_job_still_ends_well(follow: Followed) -> None:
    async def script(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.close(1001)
        follow.output.go_on.set()

    follow.output.script = script
    job_id = await follow.setup.create()
    async with follow.following(job_id) as socket:
        await frame(socket)
        await follow.output.go_on.wait()
        await follow.setup.update(job_id, state="SUCCESS")
        frames = await rest(socket)
    assert [one["type"] for one in frames] == ["message", "response"]


async def test_a_stream_that_the_provider_ended_early_leaves_the_states(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """Ended is not lost: no more output is to come, and the job goes on."""
    async with followed(replace(settings, follow_drain_seconds=0.0), provider) as follow:
        job_id = await follow.setup.create()
        async with follow.following(job_id) as socket:
            await frame(socket)
            await async_wait_until(lambda: all_closed(follow.output), "the provider to have ended the stream")
            await follow.setup.update(job_id, status="still running")
            assert (await frame(socket))["payload"]["updates"][0]["status"] == "still running"
            await follow.setup.update(job_id, state="SUCCESS")
            assert [one["type"] for one in await rest(socket)] == ["message", "response"]


async def all_closed(output: ScriptedOutput) -> bool:
    return bool(output.connections) and all(one.close_code is not None for one in output.connections)


async def test_a_change_that_is_in_the_first_message_is_not_told_again(
    follow: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job changes after we listen for changes and before we read it."""
    job_id = await follow.setup.create()
    following = follow.setup.orchestrator.following
    read, reads = following._read, 0

    async def read_late(user: tokens.User, wanted: str) -> Any:
        nonlocal reads
        reads += 1
        if reads == 2:
            await follow.setup.update(job_id, state="RUNNING")
        return await read(user, wanted)

    monkeypatch.setattr(following, "_read", read_late)
    async with follow.following(job_id) as socket:
        first = (await frame(socket))["payload"]
        await follow.setup.update(job_id, state="SUCCESS")
        frames = await rest(socket)
    assert [update["state"] for update in first["initialJob"]["updates"]] == ["RUNNING"]
    told = [update["state"] for one in frames for update in one["payload"]["updates"]]
    assert told == ["SUCCESS"]


async def test_a_job_without_log_support_is_followed_by_its_states_alone(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    provider.support = [support_entry(docker={"enabled": True})]
    async with followed(settings, provider) as follow:
        job_id = await follow.setup.create()
        async with follow.following(job_id) as socket:
            await frame(socket)
            await follow.setup.update(job_id, state="SUCCESS")
            frames = await rest(socket)
        assert [one["type"] for one in frames] == ["message", "response"]
        assert follow.output.connections == []


async def test_what_cannot_be_followed_is_answered_with_its_status(follow: Followed) -> None:
    job_id = await follow.setup.create()
    provider_token = tokens.provider_token(follow.setup.orchestrator.keys, "example")
    bob = issue_user_token(follow.setup.data_dir, "bob")
    wrong: list[tuple[int, dict[str, Any]]] = [
        (401, {"bearer": None}),
        (401, {"bearer": "x.y.z"}),
        (403, {"bearer": provider_token}),
        (404, {"bearer": bob}),
        (404, {"payload": {"id": "4711"}}),
        (404, {"call": "jobs.something"}),
        (400, {"payload": {"id": 5}}),
    ]
    async with connect(follow.url, proxy=None) as socket:
        for text in ("{", "[]", "{}", '{"call": 1, "streamId": "x"}'):  # discarded
            await socket.send(text)
        for status, changes in wrong:
            await socket.send(orjson.dumps(follow.request(job_id, **changes)), text=True)
            answer = await frame(socket)
            assert (answer["type"], answer["streamId"], answer["status"]) == ("response", "7", status)
            assert answer["payload"]["why"]
    assert follow.output.connections == []


async def test_one_socket_carries_several_streams(follow: Followed) -> None:
    jobs = [await follow.setup.create() for _ in range(2)]
    for job_id in jobs:
        await follow.setup.update(job_id, state="SUCCESS")
    async with connect(follow.url, proxy=None) as socket:
        for job_id in jobs:
            await socket.send(orjson.dumps(follow.request(job_id, streamId=f"of-{job_id}")), text=True)
        frames = await rest(socket) + await rest(socket)
    ends = {one["streamId"]: one["status"] for one in frames if one["type"] == "response"}
    assert ends == {f"of-{job_id}": 200 for job_id in jobs}


async def test_a_user_who_leaves_ends_the_provider_stream(follow: Followed) -> None:
    left = asyncio.Event()

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        await send(socket, request, stdout="x")
        await socket.wait_closed()
        left.set()

    follow.output.script = script
    async with follow.following(await follow.setup.create()) as socket:
        await frame(socket)
        await frame(socket)
    await asyncio.wait_for(left.wait(), 10)


async def test_the_output_of_a_job_that_is_started_again_goes_on(follow: Followed) -> None:
    """LC-26: the provider ends its stream with the first life; both orders of that end and the next beginning."""

    async def script(socket: ServerConnection, request: dict[str, Any]) -> None:
        number = len(follow.output.connections)
        await send(socket, request, stdout=f"life {number}\n", offset=7 * number)
        if number == 2:
            await follow.output.go_on.wait()  # its end comes after the third life has begun
        await ended(socket, request)

    follow.output.script = script
    job_id = await follow.setup.create(restartOnExit=True)
    end = {"state": "SUCCESS", "allowRestart": True}
    async with follow.following(job_id) as socket:
        await frame(socket)
        assert (await frame(socket))["payload"]["log"][0]["stdout"] == "life 1\n"
        await async_wait_until(lambda: all_closed(follow.output), "the provider to have ended the stream")
        for update in ({"state": "RUNNING"}, end, {"state": "RUNNING"}):
            await follow.setup.update(job_id, **update)
        told = [(await frame(socket))["payload"] for _ in range(4)]
        assert [one["newStatus"]["state"] for one in told if one["newStatus"]] == ["RUNNING", "SUSPENDED", "RUNNING"]
        assert [entry["stdout"] for one in told for entry in one["log"]] == ["life 2\n"]
        for update in (end, {"state": "RUNNING"}):
            await follow.setup.update(job_id, **update)
        follow.output.go_on.set()
        told = [(await frame(socket))["payload"] for _ in range(3)]
        assert [entry["stdout"] for one in told for entry in one["log"]] == ["life 3\n"]
        await follow.setup.update(job_id, state="SUCCESS")
        assert [one["type"] for one in await rest(socket)] == ["message", "response"]
    assert [request["payload"]["resume"] for request in follow.output.requests[1:]] == [
        [{"rank": 0, "stream": "stdout", "offset": offset}] for offset in (7, 14)
    ]


async def test_whoever_follows_a_job_that_is_deleted_is_told(follow: Followed) -> None:
    job_id = await follow.setup.create()
    async with follow.following(job_id) as socket:
        await frame(socket)
        admin = follow.setup.user(admin=True)
        deleted = await follow.setup.post("/api/jobs/delete", {"items": [{"id": job_id}]}, admin)
        assert deleted.status_code == 200
        (response,) = await rest(socket)
    assert (response["type"], response["status"]) == ("response", 404)
    assert (await follow.setup.get("/api/jobs/retrieve", id=job_id)).status_code == 404


async def test_only_administrators_delete_and_all_or_none(follow: Followed) -> None:
    job_id = await follow.setup.create()
    assert (await follow.setup.post("/api/jobs/delete", {"items": [{"id": job_id}]})).status_code == 403
    both = {"items": [{"id": job_id}, {"id": "999"}]}
    assert (await follow.setup.post("/api/jobs/delete", both, follow.setup.user(admin=True))).status_code == 404
    assert (await follow.setup.job(job_id))["status"]["state"] == "IN_QUEUE"
    assert int(await follow.setup.create()) == int(job_id) + 1
