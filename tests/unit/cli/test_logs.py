"""`jobs logs`: what is there, a part of it, and going on from there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli, FakeLine
from tests.unit.cli.fake_core import FakeCore, job
from tests.unit.client.test_following import END, message


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
    cli: Cli, logged: FakeCore, scripts: list[list[Any]]
) -> None:
    entry = {"rank": 0, "stdout": "line 10\n", "stderr": None, "offset": 78}
    other = {"rank": 1, "stdout": "not wanted\n", "stderr": None, "offset": 27}
    scripts += [[message("RUNNING", log=[entry, other]), message("SUCCESS"), END]]
    outcome = cli("jobs", "logs", "-f", "7", "--tail", "1", "--rank", "0")
    assert (outcome.out, outcome.status) == ("line 9\nline 10\n", 0)
    assert FakeLine.sent[0]["payload"]["resume"] == [
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
