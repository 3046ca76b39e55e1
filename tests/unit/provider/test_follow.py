"""The follow socket as UCloud/Core uses it, both eras (provider-api 7, LOG-1 to LOG-14)."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from fastapi import FastAPI

from tests.unit.provider.conftest import Sign
from tests.unit.provider.fakes import ScriptedFollower
from tests.unit.provider.recordings import example, recorded_create
from tests.unit.provider.sockets import Closed, Denied, connect
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.service import LogChunk
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.provider.follow import FollowSocket
from ucloud_ray.provider.room import StreamRoom

SOCKET = "/ucloud/jobs.provider.example/websocket"
CALL = "jobs.provider.example.follow"
PING = {"ping": "pong"}


def frame(payload: dict[str, Any], stream: str = "ignored", **more: Any) -> dict[str, Any]:
    return {"call": CALL, "streamId": stream, "payload": payload, "bearer": "", "project": None} | more


def init(id: str = "54112", stream: str = "ignored", **more: Any) -> dict[str, Any]:
    return frame({"type": "init", "job": {"id": id}}, stream, **more)


def client_frames(name: str, **replaced: str) -> list[dict[str, Any]]:
    """What the client says in a documented conversation."""
    text = json.dumps([entry["frame"] for entry in example(name) if entry["from"] == "client"])
    for old, new in ({"PROVIDERID": "example"} | replaced).items():
        text = text.replace(old, new)
    frames: list[dict[str, Any]] = json.loads(text)
    return frames


# ------------------------------------------------------------------------------------------------- both eras


async def test_g_gets_a_ping_the_output_a_last_frame_and_the_end_of_the_socket(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """The documented conversation. G notices the end of a stream by the end of its socket only (O13)."""
    follower.chunks = [LogChunk(0, stdout="Hello, World!\n"), LogChunk(1, stderr="warning\n")]
    expected = [entry["frame"] for entry in example("derived-go-provider-follow.frames") if entry["from"] == "server"]
    async with connect(app, f"{SOCKET}?usernameHint=YWxpY2U", headers=core_headers) as socket:
        assert await socket.receive() == PING == expected[0]
        await socket.send(client_frames("derived-go-provider-follow.frames")[0])
        first, second, last = [await socket.receive() for _ in range(3)]
        with pytest.raises(Closed):
            await socket.receive()
    session = first["payload"]["streamId"]
    assert str(uuid.UUID(session)) == session
    empty = {"streamId": session, "rank": 0, "stdout": None, "stderr": None, "channel": None}
    assert first == expected[1] | {"payload": empty | {"stdout": "Hello, World!\n"}}
    assert second == expected[2] | {"payload": empty | {"rank": 1, "stderr": "warning\n"}}
    assert last == expected[3] | {"payload": empty}
    assert [ref.id for ref in follower.closed] == ["54112"]


async def test_k_cancels_one_of_several_streams_and_both_ends_are_told(
    app: FastAPI, follower: ScriptedFollower, sign: Sign
) -> None:
    """The documented conversation, with the token in the frames alone, and a second stream that goes on."""
    follower.chunks, follower.then = [LogChunk(0, stdout="Hello, World!\n")], "wait"
    token = {"<access token>": sign()}
    async with connect(app, SOCKET) as socket:
        assert await socket.receive() == PING
        await socket.send(client_frames("derived-kotlin-provider-follow.frames", **token)[0])
        session = (await socket.receive())["payload"]["streamId"]
        await socket.send(init("2", "other", bearer=sign()))
        other = await socket.receive()
        assert (other["streamId"], other["payload"]["streamId"] != session) == ("other", True)
        await socket.send(client_frames("derived-kotlin-provider-follow.frames", f3a1=session, **token)[1])
        ends = [await socket.receive() for _ in range(2)]
        assert [(end["type"], end["streamId"], end["status"]) for end in ends] == [
            ("response", "1", 200),
            ("response", "0", 200),
        ]
        assert {end["payload"]["streamId"] for end in ends} == {session}
        assert [ref.id for ref in follower.closed] == ["54112"]
    assert [ref.id for ref in follower.closed] == ["54112", "2"]


async def test_a_job_is_followed_by_its_id_and_time_of_creation(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """O3: ids are reused."""
    job = recorded_create()["items"][0]
    async with connect(app, SOCKET, headers=core_headers) as socket:
        await socket.receive()
        await socket.send(frame({"type": "init", "job": job}))
        assert (await socket.receive())["type"] == "response"
    assert [(ref.id, ref.created_at) for ref in follower.followed] == [("4", 1795531043856)]


async def test_a_caller_who_leaves_lets_go_of_everything(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """LOG-12."""
    follower.chunks, follower.then = [LogChunk(0, stdout="x")], "wait"
    async with connect(app, SOCKET, headers=core_headers) as socket:
        for job in ("1", "2", "3"):
            await socket.send(init(job, job))
        for _ in range(4):
            await socket.receive()
    assert sorted(ref.id for ref in follower.closed) == ["1", "2", "3"]


async def test_text_is_cut_into_pieces_and_nothing_is_sent_empty(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """LOG-10."""
    text = "æ" * 50_000
    follower.chunks = [LogChunk(0, stdout=text, stderr="e"), LogChunk(0, stdout="", stderr=None)]
    async with connect(app, SOCKET, headers=core_headers) as socket:
        await socket.receive()
        await socket.send(init())
        payloads = []
        while (received := await socket.receive())["type"] == "message":
            payloads.append(received["payload"])
    assert [len((payload["stdout"] or "").encode()) for payload in payloads] == [65536, 34464, 0]
    assert "".join(payload["stdout"] or "" for payload in payloads) == text
    assert payloads[-1]["stderr"] == "e"


# ----------------------------------------------------------------------------------------------- not allowed


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"exp": 1}, 401), ({"sub": "#P_example", "role": "PROVIDER"}, 403), ({"iss": "elsewhere"}, 401)],
)
async def test_a_bad_token_is_refused_in_the_handshake(
    claims: dict[str, Any], status: int, app: FastAPI, follower: ScriptedFollower, sign: Sign
) -> None:
    headers = {"Authorization": f"Bearer {sign(**claims)}"}
    with pytest.raises(Denied) as denied:
        async with connect(app, SOCKET, headers=headers):
            raise AssertionError("the handshake was accepted")
    assert denied.value.status == status
    assert denied.value.content["why"]
    assert follower.followed == []


@pytest.mark.parametrize(("claims", "status"), [(None, 401), ({"exp": 1}, 401), ({"sub": "#P_example"}, 403)])
async def test_a_frame_without_a_good_token_ends_the_socket(
    claims: dict[str, Any] | None, status: int, app: FastAPI, follower: ScriptedFollower, sign: Sign
) -> None:
    """K may put its token into the frames; then each one is checked."""
    bearer = "" if claims is None else sign(**claims)
    async with connect(app, SOCKET) as socket:
        await socket.receive()
        await socket.send(init(bearer=bearer))
        answer = await socket.receive()
        assert (answer["type"], answer["status"], bool(answer["payload"]["why"])) == ("response", status, True)
        with pytest.raises(Closed):
            await socket.receive()
    assert follower.followed == []


REFUSED_FRAMES = {
    "an unknown call": (init() | {"call": "jobs.provider.other.follow"}, 404),
    "a job of another provider": (
        frame({"type": "init", "job": {"id": "1", "specification": {"product": {"provider": "other"}}}}),
        400,
    ),
    "an unknown request": (frame({"type": "pause"}), 400),
    "no job": (frame({"type": "init"}), 400),
    "an id that is a number": (frame({"type": "init", "job": {"id": 1}}), 400),
    "no payload": (frame({}), 400),
    "a stream that is not there": (frame({"type": "cancel", "streamId": "f3a1"}), 404),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED_FRAMES.values(), ids=REFUSED_FRAMES)
async def test_a_frame_that_cannot_be_served_is_answered_and_the_socket_stays(
    request_: dict[str, Any],
    status: int,
    app: FastAPI,
    follower: ScriptedFollower,
    core_headers: dict[str, str],
) -> None:
    async with connect(app, SOCKET, headers=core_headers) as socket:
        await socket.receive()
        await socket.send(request_)
        answer = await socket.receive()
        assert (answer["type"], answer["streamId"], answer["status"]) == ("response", "ignored", status)
        assert answer["payload"]["why"]
        assert follower.followed == []
        await socket.send(init())
        assert (await socket.receive())["status"] == 200


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"call": 1, "streamId": "1"}', '{"ping":"pong"}', "[" * 5000]
)
async def test_what_is_no_frame_is_ignored(
    text: str, app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    async with connect(app, SOCKET, headers=core_headers) as socket:
        await socket.receive()
        await socket.send(text)
        await socket.send(b"\xff")
        await socket.send(init())
        assert (await socket.receive())["status"] == 200
    assert len(follower.followed) == 1


@pytest.mark.parametrize(
    ("failure", "status", "word"),
    [(NotReady("Still starting"), 503, "starting"), (RuntimeError("secret"), 500, "Reference")],
)
async def test_a_follow_that_fails_says_so_in_its_last_frame(
    failure: Exception, status: int, word: str, app: FastAPI, follower: ScriptedFollower,
    core_headers: dict[str, str],
) -> None:  # fmt: skip
    follower.chunks, follower.then = [LogChunk(0, stdout="x")], failure
    async with connect(app, SOCKET, headers=core_headers) as socket:
        await socket.receive()
        await socket.send(init())
        assert (await socket.receive())["payload"]["stdout"] == "x"
        last = await socket.receive()
    assert (last["type"], last["status"]) == ("response", status)
    assert word in last["payload"]["why"]
    assert "secret" not in str(last)


# ------------------------------------------------------------------------------------------------------- time


async def test_pings_go_on_while_nothing_is_said(
    follower: ScriptedFollower, verifier: TokenVerifier, core_headers: dict[str, str]
) -> None:
    """LOG-12; in G only this shows the Core that its user has gone."""
    app = FastAPI()
    app.add_api_websocket_route(
        SOCKET, FollowSocket(follower, "example", verifier, StreamRoom(9), ping_seconds=0).serve
    )
    async with connect(app, SOCKET, headers=core_headers) as socket:
        assert [await socket.receive() for _ in range(3)] == [PING] * 3


@pytest.mark.parametrize("said", [None, "no frame"])
async def test_a_caller_who_shows_no_token_in_time_is_put_out(
    said: str | None, app: FastAPI, follower: ScriptedFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ucloud_ray.provider.follow.FIRST_FRAME_SECONDS", 0.0)
    async with connect(app, SOCKET) as socket:
        if said is not None:
            await socket.send(said)
        assert await socket.until_closed() in ([], [PING])
    assert follower.followed == []
