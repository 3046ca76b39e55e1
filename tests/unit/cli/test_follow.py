"""Following a job with servers of both eras, and with servers that go away (end-user-api 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore, job
from ucloud_ray.cli import follow
from ucloud_ray.cli.api import Api, Connection
from ucloud_ray.cli.errors import Refused, Unreachable
from ucloud_ray.cli.follow import Follower, OutputSeen, Seen, StateSeen

CLOSED = object()
"""In a script: the server closes the socket."""


class FakeSocket:
    """Plays one connection; a script that is used up is a server that says nothing more."""

    def __init__(self, script: list[Any]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._script = iter(script)

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def recv(self, timeout: float | None = None) -> str:
        frame = next(self._script, None)
        if frame is CLOSED:
            raise ConnectionClosedOK(None, None)
        if frame is None:
            if timeout is None:
                raise AssertionError("this would wait for ever")
            raise TimeoutError
        return json.dumps(frame)


def message(state: str | None = None, *, updates: list[Any] | None = None, log: list[Any] | None = None) -> Any:
    status = {"state": state} if state else None
    payload = {"updates": updates or [], "log": log or [], "newStatus": status}
    return {"type": "message", "streamId": "0", "payload": payload}


def stdout(text: str | None, rank: int = 0) -> dict[str, Any]:
    return {"rank": rank, "stdout": text, "stderr": None}


END = {"type": "response", "streamId": "0", "payload": {}, "status": 200}


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, core: FakeCore) -> list[list[Any]]:
    """One script per connection; when all are used up nothing answers any more."""
    core.jobs = {"7": job("7", "IN_QUEUE")}
    scripts: list[list[Any]] = []

    def connect(self: Follower) -> FakeSocket:
        if not scripts:
            raise Unreachable("gone")
        return FakeSocket(scripts.pop(0))

    monkeypatch.setattr(Follower, "_connect", connect)
    monkeypatch.setattr(follow, "RECONNECT_SECONDS", (0.0, 0.0))
    return scripts


def followed() -> Iterator[Seen]:
    return Follower(Api(Connection("http://core.invalid", "t0ken")), "7").until_final()


def words(seen: list[Seen]) -> list[str]:
    return [entry.text if isinstance(entry, OutputSeen) else entry.state for entry in seen]


def test_a_server_that_ends_the_stream_is_followed_to_its_end(scripts: list[list[Any]]) -> None:
    update = {"state": "RUNNING", "status": "The job is now running", "timestamp": 5}
    scripts += [
        [
            message("IN_QUEUE"),
            message("RUNNING", updates=[update]),
            message(log=[stdout("a\n")]),
            message("SUCCESS"),
            END,
        ]
    ]
    seen = list(followed())
    assert words(seen) == ["IN_QUEUE", "RUNNING", "a\n", "SUCCESS"]
    assert seen[1] == StateSeen("RUNNING", "The job is now running", 5)


def test_a_server_that_never_ends_the_stream_is_left_when_the_job_is_final(scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING"), message("SUCCESS"), message(log=[stdout("last words")])]]
    assert words(list(followed())) == ["IN_QUEUE", "RUNNING", "SUCCESS", "last words"]


def test_a_job_that_was_over_before_the_socket_opened_is_seen_to_be_over(
    scripts: list[list[Any]], core: FakeCore
) -> None:
    core.jobs["7"] = job("7", "FAILURE", ("FAILURE", "it broke"))
    scripts += [[message(log=[stdout("out")]), CLOSED]]
    seen = list(followed())
    assert words(seen) == ["FAILURE", "out"]
    assert seen[0] == StateSeen("FAILURE", "it broke", 1_700_000_000_000)


def test_an_update_is_shown_once_although_several_messages_carry_it(scripts: list[list[Any]], core: FakeCore) -> None:
    core.jobs["7"] = job("7", "RUNNING", ("RUNNING", "go"))
    again = {"state": "RUNNING", "status": "go", "timestamp": 1_700_000_000_000}
    scripts += [[message("RUNNING", updates=[again]), message("SUCCESS"), END]]
    assert words(list(followed())) == ["RUNNING", "SUCCESS"]


def test_output_that_is_replayed_after_a_lost_connection_is_not_shown_twice(
    scripts: list[list[Any]], core: FakeCore
) -> None:
    core.jobs["7"] = job("7", "RUNNING")
    scripts += [
        [message("RUNNING", log=[stdout("one\n"), stdout("other\n", rank=1)]), CLOSED],
        [
            message(log=[stdout("one\ntw")]),
            message(log=[stdout("o\n"), stdout("other\n", rank=1)]),
            message("SUCCESS"),
            END,
        ],
    ]
    assert words(list(followed())) == ["RUNNING", "one\n", "other\n", "tw", "o\n", "SUCCESS"]


def test_a_server_that_tells_offsets_is_asked_for_what_follows_them(
    scripts: list[list[Any]], core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOG-5: and nothing that it then says is taken for a repetition."""
    core.jobs["7"] = job("7", "RUNNING")
    sockets: list[FakeSocket] = []
    connect = Follower._connect

    def remembered(self: Follower) -> Any:
        sockets.append(connect(self))  # type: ignore[arg-type]  # the fake of `scripts`
        return sockets[-1]

    monkeypatch.setattr(Follower, "_connect", remembered)
    scripts += [
        [message("RUNNING", log=[stdout("same\n") | {"offset": 105}, stdout("x", rank=1) | {"offset": 1}]), CLOSED],
        [message(log=[stdout("same\n") | {"offset": 110}]), message("SUCCESS"), END],
    ]
    assert words(list(followed())) == ["RUNNING", "same\n", "x", "same\n", "SUCCESS"]
    assert [socket.sent[0]["payload"]["resume"] for socket in sockets] == [
        [],
        [{"rank": 0, "stream": "stdout", "offset": 105}, {"rank": 1, "stream": "stdout", "offset": 1}],
    ]


def test_within_one_message_the_end_comes_after_the_last_words(scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING", log=[stdout("first\n")]), message("SUCCESS", log=[stdout("last\n")]), END]]
    assert words(list(followed())) == ["IN_QUEUE", "RUNNING", "first\n", "last\n", "SUCCESS"]


def test_empty_texts_are_keep_alives(scripts: list[list[Any]]) -> None:
    scripts += [[{"ping": "pong"}, message(log=[stdout(""), stdout(None)]), message("SUCCESS"), END]]
    assert words(list(followed())) == ["IN_QUEUE", "SUCCESS"]


def test_a_server_that_stays_away_is_given_up_with_the_way_back(scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING"), CLOSED]]
    with pytest.raises(Unreachable, match="job 7 goes on; follow it again with `ucloud-ray jobs logs -f 7`"):
        list(followed())


def test_a_refusal_is_not_tried_again(scripts: list[list[Any]]) -> None:
    scripts += [[{"type": "response", "streamId": "0", "payload": {"why": "not yours"}, "status": 403}], [END]]
    with pytest.raises(Refused, match="not yours"):
        list(followed())
    assert len(scripts) == 1


@pytest.mark.parametrize(("state", "status"), [("SUCCESS", 0), ("FAILURE", 1), ("EXPIRED", 1)])
def test_run_leaves_as_the_job_ends(
    cli: Cli, core: FakeCore, scripts: list[list[Any]], state: str, status: int
) -> None:
    core.jobs = {"48920": job("48920", "IN_QUEUE")}
    scripts += [[message("RUNNING", log=[stdout("42\n")]), message(state), END]]
    outcome = cli("run", "a-batch-application", "var=1")
    assert (outcome.status, outcome.out) == (status, "42\n")
    assert [line.split()[1] for line in outcome.err.splitlines()[1:]] == ["IN_QUEUE", "RUNNING", state]


def test_lines_carry_their_rank_once_a_second_rank_speaks(cli: Cli, core: FakeCore, scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING", log=[stdout("a\n", 1), stdout("b\n", 0)]), message("SUCCESS"), END]]
    assert cli("jobs", "logs", "-f", "7").out == "[1] a\n[0] b\n"


def test_logs_without_following_print_what_is_there(cli: Cli, core: FakeCore, scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING", log=[stdout("a\n")])]]
    outcome = cli("jobs", "logs", "7")
    assert (outcome.status, outcome.out, outcome.err) == (0, "a\n", "")


def test_ctrl_c_explains_that_the_job_goes_on(
    cli: Cli, core: FakeCore, scripts: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Follower) -> Iterator[Seen]:
        yield StateSeen("RUNNING", "")
        raise KeyboardInterrupt

    monkeypatch.setattr(Follower, "until_final", interrupted)
    outcome = cli("jobs", "logs", "-f", "7")
    assert outcome.status == 1
    assert "job 7 goes on; stop it with `ucloud-ray jobs stop 7`" in outcome.err
    assert core.changes() == []
