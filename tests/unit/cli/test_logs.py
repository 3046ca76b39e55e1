"""`jobs logs`: what is there, a part of it, and going on from there."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore, job
from tests.unit.cli.test_follow import END, FakeSocket, message
from ucloud_ray.cli import log_parts
from ucloud_ray.cli.errors import Refused
from ucloud_ray.cli.follow import Follower
from ucloud_ray.cli.log_parts import last_lines


@pytest.fixture
def logged(core: FakeCore) -> FakeCore:
    """A job of two nodes that has written."""
    core.jobs = {"7": job("7", "RUNNING")}
    core.jobs["7"]["specification"]["replicas"] = 2
    core.logs = {
        (0, "stdout"): "".join(f"line {number}\n" for number in range(10)),
        (0, "stderr"): "oops\n",
        (1, "stdout"): "from the other\n",
    }
    return core


def test_without_options_everything_of_every_node_is_printed(cli: Cli, logged: FakeCore) -> None:
    outcome = cli("jobs", "logs", "7")
    assert outcome.out == logged.logs[0, "stdout"] + "[1] from the other\n"
    assert (outcome.err, outcome.status) == ("oops\n", 0)


class Starting:
    """A server whose machine with the log is not there yet, the first few times."""

    def __init__(self, *answers: int) -> None:
        self.left = list(answers)

    def get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        if self.left:
            raise Refused("not now", status=self.left.pop(0))
        return {"text": "hello\n", "nextOffset": 6, "total": 6}


def test_a_log_whose_machine_is_starting_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_parts, "RETRY_SECONDS", 0)
    parts = log_parts.Parts(cast("Any", Starting(503, 503)), "7", log_parts.Chosen())
    assert [part["text"] for part in parts.read((0, "stdout"))] == ["hello\n"]


def test_any_other_refusal_is_told_at_once() -> None:
    server = Starting(400, 503)
    with pytest.raises(Refused):
        list(log_parts.Parts(cast("Any", server), "7", log_parts.Chosen()).read((0, "stdout")))
    assert server.left == [503]


def test_a_long_log_is_read_part_by_part(cli: Cli, logged: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_parts.Parts._part, "__defaults__", (16,))
    assert cli("jobs", "logs", "7", "--rank", "0", "--stream", "stdout").out == logged.logs[0, "stdout"]
    assert len([path for _, path, _ in logged.asked if path.endswith("/logs")]) == 5


@pytest.mark.parametrize(
    ("options", "out", "err"),
    [
        (("--rank", "1"), "[1] from the other\n", ""),
        (("--stream", "stderr"), "", "oops\n"),
        (("--tail", "2", "--rank", "0"), "line 8\nline 9\n", "oops\n"),
        (("--tail", "0", "--rank", "0"), "", ""),
        (("--rank", "0", "--stream", "stdout", "--since-offset", "63"), "line 9\n", ""),
    ],
)
def test_a_part_can_be_chosen(cli: Cli, logged: FakeCore, options: tuple[str, ...], out: str, err: str) -> None:
    outcome = cli("jobs", "logs", "7", *options)
    assert (outcome.out, outcome.err, outcome.status) == (out, err, 0)


def test_json_tells_where_to_go_on(cli: Cli, logged: FakeCore) -> None:
    options = ("--rank", "0", "--stream", "stdout", "--since-offset", "63", "--json")
    assert json.loads(cli("jobs", "logs", "7", *options).out) == [
        {
            "rank": 0, "stream": "stdout", "offset": 63, "nextOffset": 70, "total": 70, "text": "line 9\n",
            "state": "RUNNING",
        }
    ]  # fmt: skip


def test_following_from_the_last_lines_goes_on_where_they_ended(
    cli: Cli, logged: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = []

    def connect(self: Follower) -> FakeSocket:
        entry = {"rank": 0, "stdout": "line 10\n", "stderr": None, "offset": 78}
        other = {"rank": 1, "stdout": "not wanted\n", "stderr": None, "offset": 27}
        sockets.append(FakeSocket([message("RUNNING", log=[entry, other]), message("SUCCESS"), END]))
        return sockets[-1]

    monkeypatch.setattr(Follower, "_connect", connect)
    outcome = cli("jobs", "logs", "-f", "7", "--tail", "1", "--rank", "0")
    assert (outcome.out, outcome.status) == ("line 9\nline 10\n", 0)
    assert sockets[0].sent[0]["payload"]["resume"] == [
        {"rank": 0, "stream": "stdout", "offset": 70},
        {"rank": 0, "stream": "stderr", "offset": 5},
    ]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--rank", "2"), "2 node(s)"),
        (("--stream", "stdin"), "stdout or stderr"),
        (("--tail", "1", "--since-offset", "1"), "exclude"),
        (("-f", "--json"), "exclude"),
    ],
)
def test_what_cannot_be_chosen_is_explained(cli: Cli, logged: FakeCore, options: tuple[str, ...], word: str) -> None:
    outcome = cli("jobs", "logs", "7", *options)
    assert outcome.status == 2
    assert word in outcome.err
    assert outcome.out == ""


def test_a_server_without_parts_of_logs_says_so_when_a_part_is_wanted(cli: Cli, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING")}
    outcome = cli("jobs", "logs", "7", "--tail", "3")
    assert (outcome.status, outcome.out) == (2, "")
    assert "leave the option out" in outcome.err


@given(st.lists(st.text("ab\r\x0b\u2028", max_size=3), max_size=6), st.booleans(), st.integers(0, 8))
def test_the_last_lines_are_lines_and_as_many_as_there_are(lines: list[str], ended: bool, wanted: int) -> None:
    """Only a newline ends a line."""
    whole = [f"{line}\n" for line in lines]
    if whole and not ended:
        whole[-1] = whole[-1][:-1] + "x"
    expected: Any = whole[max(0, len(whole) - wanted) :]
    assert last_lines("".join(whole), wanted) == "".join(expected)
