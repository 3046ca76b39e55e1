"""Following a job with servers of both eras, and with servers that go away (end-user-api 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.cli.fake_core import job
from tests.unit.client.conftest import CLOSED, Script, no, ok, session
from ucloud_ray.client import following
from ucloud_ray.client.credentials import Credentials
from ucloud_ray.client.effects import Reply, Send
from ucloud_ray.client.errors import NotFound, NotPermitted, StrangeAnswer, Unavailable
from ucloud_ray.client.following import Following, OutputSeen, Seen, StateSeen

END = {"type": "response", "streamId": "0", "payload": {}, "status": 200}


def message(state: str | None = None, *, updates: list[Any] | None = None, log: list[Any] | None = None) -> Any:
    status = {"state": state} if state else None
    payload = {"updates": updates or [], "log": log or [], "newStatus": status}
    return {"type": "message", "streamId": "0", "payload": payload}


def refusal(status: int, why: str) -> Any:
    return {"type": "response", "streamId": "0", "payload": {"why": why}, "status": status}


def stdout(text: str | None, rank: int = 0) -> dict[str, Any]:
    return {"rank": rank, "stdout": text, "stderr": None}


def script(*sockets: list[Any], of: Mapping[str, Any] | None = None) -> Script:
    """One list per connection."""
    known = of or job("7", "IN_QUEUE")
    return Script(serve=lambda wanted: ok(known), sockets=list(sockets))


def followed(playing: Script) -> list[Seen]:
    playing.run(Following(session(), "7").until_final())
    return playing.emitted


def words(seen: list[Seen]) -> list[str]:
    return [entry.text if isinstance(entry, OutputSeen) else entry.state for entry in seen]


def test_a_server_that_ends_the_stream_is_followed_to_its_end() -> None:
    update = {"state": "RUNNING", "status": "The job is now running", "timestamp": 5}
    messages = [message("IN_QUEUE"), message("RUNNING", updates=[update]), message(log=[stdout("a\n")])]
    seen = followed(script([*messages, message("SUCCESS"), END]))
    assert words(seen) == ["IN_QUEUE", "RUNNING", "a\n", "SUCCESS"]
    assert seen[1] == StateSeen("RUNNING", "The job is now running", 5)
    assert [one.is_final for one in seen if isinstance(one, StateSeen)] == [False, False, True]


def test_a_server_that_never_ends_the_stream_is_left_when_the_job_is_final() -> None:
    playing = script([message("RUNNING"), message("SUCCESS"), message(log=[stdout("last words")])])
    assert words(followed(playing)) == ["IN_QUEUE", "RUNNING", "last words", "SUCCESS"]


def test_a_job_that_was_over_before_the_socket_opened_is_seen_to_be_over() -> None:
    over = job("7", "FAILURE", ("FAILURE", "it broke"))
    seen = followed(script([message(log=[stdout("out")]), CLOSED], of=over))
    assert words(seen) == ["out", "FAILURE"]
    assert seen[1] == StateSeen("FAILURE", "it broke", 1_700_000_000_000)


def test_an_update_is_told_once_although_several_messages_carry_it() -> None:
    running = job("7", "RUNNING", ("RUNNING", "go"))
    again = {"state": "RUNNING", "status": "go", "timestamp": 1_700_000_000_000}
    playing = script([message("RUNNING", updates=[again]), message("SUCCESS"), END], of=running)
    assert words(followed(playing)) == ["RUNNING", "SUCCESS"]


def test_output_that_is_replayed_after_a_lost_connection_is_not_told_twice() -> None:
    first = [message("RUNNING", log=[stdout("one\n"), stdout("other\n", rank=1)]), CLOSED]
    replay = [message(log=[stdout("one\ntw")]), message(log=[stdout("o\n"), stdout("other\n", rank=1)])]
    playing = script(first, [*replay, message("SUCCESS"), END], of=job("7", "RUNNING"))
    assert words(followed(playing)) == ["RUNNING", "one\n", "other\n", "tw", "o\n", "SUCCESS"]


def test_a_server_that_tells_offsets_is_asked_for_what_follows_them() -> None:
    """LOG-5: and nothing that it then says is taken for a repetition."""
    first = [stdout("same\n") | {"offset": 105}, stdout("x", rank=1) | {"offset": 1}]
    second = [message(log=[stdout("same\n") | {"offset": 110}]), message("SUCCESS"), END]
    playing = script([message("RUNNING", log=first), CLOSED], second, of=job("7", "RUNNING"))
    assert words(followed(playing)) == ["RUNNING", "same\n", "x", "same\n", "SUCCESS"]
    assert [frame["payload"]["resume"] for frame in playing.transmitted] == [
        [],
        [{"rank": 0, "stream": "stdout", "offset": 105}, {"rank": 1, "stream": "stdout", "offset": 1}],
    ]


def test_streams_whose_past_is_not_wanted_begin_where_it_ends() -> None:
    playing = script([message("SUCCESS"), END])
    playing.run(Following(session(), "7", {(0, "stderr"): 12}).until_final())
    assert playing.transmitted[0]["payload"]["resume"] == [{"rank": 0, "stream": "stderr", "offset": 12}]


def test_within_one_message_the_end_comes_after_the_last_words() -> None:
    playing = script([message("RUNNING", log=[stdout("first\n")]), message("SUCCESS", log=[stdout("last\n")]), END])
    assert words(followed(playing)) == ["IN_QUEUE", "RUNNING", "first\n", "last\n", "SUCCESS"]


def test_empty_texts_graphs_and_pings_tell_nothing() -> None:
    graph = stdout("1,2") | {"channel": "utilization-data"}
    playing = script([{"ping": "pong"}, message(log=[stdout(""), stdout(None), graph]), [], message("SUCCESS"), END])
    assert words(followed(playing)) == ["IN_QUEUE", "SUCCESS"]


def test_the_first_message_may_carry_the_job() -> None:
    """Both eras (end-user-api 7): G tells the state only there."""
    initial = {"updates": [], "log": None, "newStatus": None, "initialJob": job("7", "RUNNING", ("RUNNING", "go"))}
    first = {"type": "message", "streamId": "0", "payload": initial}
    seen = followed(script([first, message("SUCCESS"), END]))
    assert words(seen) == ["IN_QUEUE", "RUNNING", "SUCCESS"]


def test_a_server_that_stays_away_is_given_up_after_growing_pauses() -> None:
    playing = script([message(log=[stdout("a")]), CLOSED], of=job("7", "RUNNING"))
    with pytest.raises(Unavailable, match="was lost; job 7 goes on"):
        followed(playing)
    assert playing.slept == list(following.RECONNECT_SECONDS)


def test_a_connection_that_brought_something_gives_the_server_new_patience() -> None:
    entries = [stdout(str(number)) | {"offset": number} for number in range(20)]
    lost = [[message(log=[entry]), CLOSED] for entry in entries]
    playing = script(*lost, [message("SUCCESS"), END])
    assert words(followed(playing)) == ["IN_QUEUE", *map(str, range(20)), "SUCCESS"]
    assert set(playing.slept) == {following.RECONNECT_SECONDS[0]}


def test_a_server_that_restarts_between_question_and_socket_is_come_back_to() -> None:
    answers: list[Reply] = [no(400, "x"), ok(job("7", "SUCCESS"))]

    def serve(wanted: Send) -> Reply:
        return answers.pop()

    playing = Script(serve=serve)
    followed(playing)
    assert words(playing.emitted) == ["SUCCESS"]


def test_a_refusal_is_not_tried_again() -> None:
    playing = script([refusal(403, "not yours")], [END])
    with pytest.raises(NotPermitted, match="not yours"):
        followed(playing)
    assert len(playing.sockets) == 1


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_refusal_for_now_is_tried_again(status: int) -> None:
    playing = script([refusal(status, "too many followers")], [message("SUCCESS"), END])
    assert words(followed(playing)) == ["IN_QUEUE", "SUCCESS"]


def test_a_job_that_is_not_there_is_told_without_a_socket() -> None:
    playing = Script(serve=lambda wanted: no(404, "Permission denied or job not found (7)"), sockets=[[END]])
    with pytest.raises(NotFound, match="not found"):
        followed(playing)
    assert len(playing.sockets) == 1


def test_what_is_no_core_is_recognised() -> None:
    """JSON of another kind is passed over, as later eras may send it; what is none, is told."""
    playing = script([["x"], message("SUCCESS"), END])
    assert words(followed(playing)) == ["IN_QUEUE", "SUCCESS"]
    with pytest.raises(StrangeAnswer):
        following._parsed("<html>")


def test_each_connection_shows_a_token_that_lives() -> None:
    tokens = iter(["first", "second"])
    credentials = Credentials(make=lambda: next(tokens))

    def serve(wanted: Send) -> Reply:
        revoked = playing.transmitted and wanted.headers["Authorization"] == "Bearer first"
        return no(401, "expired") if revoked else ok(job("7", "RUNNING"))

    playing = Script(serve=serve, sockets=[[refusal(401, "expired")], [message("SUCCESS"), END]])
    playing.run(Following(session(credentials=credentials, project="p"), "7").until_final())
    assert [(frame["bearer"], frame["project"]) for frame in playing.transmitted] == [("first", "p"), ("second", "p")]


@pytest.mark.parametrize("state", ["RUNNING", "SUCCESS"])
def test_what_is_there_is_told_until_nothing_more_comes(state: str) -> None:
    playing = script([message(state), message(log=[stdout("a\n")])])
    playing.run(Following(session(), "7").so_far())
    assert sorted(words(playing.emitted)) == [state, "a\n"]
