"""Graphs through the follow: what the page of the current client draws (W15)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fastapi import FastAPI

from tests.unit.provider.fakes import ScriptedFollower
from tests.unit.provider.sockets import connect
from tests.unit.provider.test_follow import SOCKET, frame, init
from ucloud_ray.control.service import LogChunk, UsageChunk
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.provider.channels import DATA, MOST_RANKS, RESET, UI, Charts, Message
from ucloud_ray.provider.follow import FollowSocket
from ucloud_ray.provider.room import StreamRoom

G = f"{SOCKET}?usernameHint=YWxpY2U"


def a_sample(second: int, cpu: int = 0, memory: int = 0, counted: bool = True) -> Sample:
    return Sample(second * 1000, cpu, memory, 1, *((second * 10, 0, 0, second * 20) if counted else ()))


def fed(charts: Charts, rank: int, *samples: Sample, reset: bool = False) -> list[Message]:
    return list(charts.feed(UsageChunk(rank, samples, reset)))


def widgets(messages: list[Message]) -> list[dict[str, Any]]:
    """Each as three lines of JSON, as the page reads them."""
    lines = [json.loads(line) for message in messages if message.channel == UI for line in message.text.splitlines()]
    assert all(message.text.endswith("\n") for message in messages if message.channel == UI)
    return [
        {"header": header, **widget, "body": body}
        for header, widget, body in zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    ]


def rows(messages: list[Message]) -> list[list[float]]:
    assert not any("\n" in message.text for message in messages if message.channel == DATA)
    return [[float(number) for number in m.text.split(",")] for m in messages if m.channel == DATA]


def test_a_graph_is_three_lines_of_json_and_its_columns_are_those_of_the_rows() -> None:
    messages = fed(Charts(1), 0, a_sample(5), a_sample(10, cpu=7500, memory=4096))
    assert [message.channel for message in messages] == [UI, UI, UI, UI, RESET, DATA]
    cpu, memory, network, disk = widgets(messages)
    assert cpu == {
        "header": {"action": 0},
        "id": "cpu",
        "type": 6,
        "location": {"window": 0, "tab": "CPU utilization", "icon": 2},
        "body": {
            "series": [{"name": "CPU", "column": 1}],
            "xAxis": {"unit": 6, "minimum": None, "maximum": None, "logarithmic": False},
            "yAxis": {"unit": 3, "minimum": 0, "maximum": None, "logarithmic": False},
            "channel": "utilization-data",
            "yAxisColumn": 0,
        },
    }
    assert [(graph["id"], graph["body"]["yAxis"]["unit"]) for graph in (memory, network, disk)] == [
        ("memory", 4), ("network", 5), ("disk", 5),
    ]  # fmt: skip
    assert [line["column"] for graph in (memory, network, disk) for line in graph["body"]["series"]] == [2, 3, 4, 5, 6]
    assert rows(messages) == [[10_000, 150, 4096, 10, 0, 0, 20]]


def test_later_samples_are_a_row_each_and_nothing_else() -> None:
    charts = Charts(1)
    fed(charts, 0, a_sample(5), a_sample(10))
    later = fed(charts, 0, a_sample(15, cpu=5000))
    assert [message.channel for message in later] == [DATA]
    assert rows(later) == [[15_000, 100, 0, 10, 0, 0, 20]]
    assert fed(charts, 0) == []


def test_what_the_kernel_does_not_count_has_no_graph_and_numbers_all_the_same() -> None:
    messages = fed(Charts(1), 0, a_sample(5, counted=False), a_sample(10, counted=False))
    assert [graph["id"] for graph in widgets(messages)] == ["cpu", "memory"]
    assert rows(messages) == [[10_000, 0, 0, 0, 0, 0, 0]]


def test_ranks_share_rows_and_a_row_waits_for_all_of_them() -> None:
    charts = Charts(2)
    first = fed(charts, 0, a_sample(5), a_sample(10, cpu=5000))
    names = [line["name"] for line in widgets(first)[0]["body"]["series"]]
    assert names == ["Node 1 cpu", "Node 2 cpu"]
    fed(charts, 1, a_sample(5), a_sample(10, cpu=2500))
    assert rows(fed(charts, 0, a_sample(15, cpu=10_000))) == []
    [row] = rows(fed(charts, 1, a_sample(15, cpu=2500)))
    assert (row[0], row[1], row[7]) == (15_000, 100, 0)


def test_a_rank_that_comes_late_is_drawn_from_its_beginning() -> None:
    """Its machine's relay may answer last."""
    charts = Charts(2)
    fed(charts, 0, a_sample(5), a_sample(10), a_sample(15))
    again = fed(charts, 1, a_sample(5), a_sample(10, cpu=5000), a_sample(15, cpu=5000))
    assert again[0].channel == RESET
    assert [(row[0], row[7]) for row in rows(again)] == [(10_000, 100), (15_000, 0)]


def test_a_rank_that_falls_silent_does_not_stop_the_others() -> None:
    charts = Charts(2)
    fed(charts, 0, a_sample(5), a_sample(10))
    fed(charts, 1, a_sample(5), a_sample(10, memory=7))
    drawn = [row for second in range(15, 65, 5) for row in rows(fed(charts, 0, a_sample(second)))]
    assert [row[0] for row in drawn] == [15_000, 20_000, 25_000, 30_000]
    assert {row[8] for row in drawn} == {7}


def test_samples_that_were_thinned_out_are_drawn_anew() -> None:
    charts = Charts(1)
    fed(charts, 0, a_sample(5), a_sample(10), a_sample(15))
    again = fed(charts, 0, a_sample(10), a_sample(20), reset=True)
    assert [message.channel for message in again] == [RESET, DATA]
    assert [row[0] for row in rows(again)] == [20_000]


def test_times_that_go_back_and_counters_that_begin_anew_are_no_rates() -> None:
    charts = Charts(1)
    fed(charts, 0, a_sample(50, cpu=9000), a_sample(55, cpu=10_000))
    assert rows(fed(charts, 0, a_sample(40), a_sample(60, cpu=20))) == [[60_000, 0.1, 0, 10, 0, 0, 20]]


def test_only_so_many_ranks_are_drawn() -> None:
    charts = Charts(1000)
    assert fed(charts, MOST_RANKS, a_sample(5), a_sample(10)) == []
    messages = fed(charts, 0, a_sample(5), a_sample(10))
    assert len(rows(messages)[0]) == 1 + 6 * MOST_RANKS
    assert max(len(message.text.encode()) for message in messages) < 64 * 1024


# -------------------------------------------------------------------------------------------------- who gets them

SAMPLES = UsageChunk(0, (a_sample(5), a_sample(10)))


async def received(app: FastAPI, path: str, headers: dict[str, str], request: dict[str, Any]) -> list[dict[str, Any]]:
    async with connect(app, path, headers=headers) as socket:
        await socket.receive()
        await socket.send(request)
        frames = await socket.until_closed()
    return [frame["payload"] for frame in frames if frame["type"] == "message"]


@pytest.fixture
def g_headers(core_headers: dict[str, str]) -> dict[str, str]:
    return {"Authorization": core_headers["Authorization"]}


async def test_a_follower_of_the_current_era_gets_them_as_text_of_named_channels(
    app: FastAPI, follower: ScriptedFollower, g_headers: dict[str, str]
) -> None:
    follower.chunks = [LogChunk(0, stdout="hello\n"), SAMPLES]
    payloads = await received(app, G, g_headers, init())
    assert follower.asked == [(None, True)]
    assert [payload["channel"] for payload in payloads] == [None, UI, UI, UI, UI, RESET, DATA]
    assert all(payload["stdout"] and payload["stderr"] is None for payload in payloads)
    assert all("offset" not in payload for payload in payloads)


@pytest.mark.parametrize("path", [SOCKET, G])
async def test_a_follower_of_the_earlier_era_gets_nothing_but_output(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str], path: str
) -> None:
    """It names its user in a header."""
    follower.chunks = [SAMPLES, LogChunk(0, stdout="hello\n")]
    headers = core_headers | {"Ucloud-Username": base64.b64encode(b"alice").decode()}
    assert [payload["stdout"] for payload in await received(app, path, headers, init())] == ["hello\n"]
    assert follower.asked == [(None, False)]


async def test_a_follower_who_says_that_it_wants_none_gets_none(
    app: FastAPI, follower: ScriptedFollower, g_headers: dict[str, str]
) -> None:
    follower.chunks = [SAMPLES]
    request = frame({"type": "init", "job": {"id": "1"}, "channels": False})
    assert await received(app, G, g_headers, request) == []


async def test_nobody_gets_them_where_they_are_switched_off(
    follower: ScriptedFollower, verifier: TokenVerifier, g_headers: dict[str, str]
) -> None:
    """Option `followChannels`."""
    follower.reset()
    follower.chunks = [SAMPLES]
    app = FastAPI()
    app.add_api_websocket_route(
        SOCKET, FollowSocket(follower, "example", verifier, StreamRoom(9), channels=False).serve
    )
    request = frame({"type": "init", "job": {"id": "1"}, "channels": True})
    assert await received(app, G, g_headers, request) == []
    assert follower.asked == [(None, False)]


async def test_a_follower_who_was_here_before_goes_on_from_its_offsets_and_gets_new_ones(
    app: FastAPI, follower: ScriptedFollower, core_headers: dict[str, str]
) -> None:
    """LOG-5: our own addition, for our own orchestrator."""
    follower.chunks = [LogChunk(0, stdout="hello\n", offset=306), LogChunk(1, stderr="x" * 70_000, offset=9)]
    resume = [{"rank": 0, "stream": "stdout", "offset": 300}]
    request = frame({"type": "init", "job": {"id": "1"}, "resume": resume})
    payloads = await received(app, SOCKET, core_headers, request)
    assert follower.asked == [({(0, "stdout"): 300}, False)]
    assert [payload.get("offset") for payload in payloads] == [306, None, 9]
