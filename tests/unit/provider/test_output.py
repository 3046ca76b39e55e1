"""Our own calls for a Core that knows them: parts of the output by byte offset, and what ranks use."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.provider.fakes import ScriptedReader
from ucloud_ray.control.usage_file import Sample

LOGS, USAGE = "/ucloud/example/jobs/logs", "/ucloud/example/jobs/usage"


async def part(core: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await core.get(LOGS, params={"jobId": "1", **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_part_begins_where_it_is_asked_for_and_tells_where_the_next_one_does(
    core: httpx.AsyncClient, reader: ScriptedReader
) -> None:
    reader.log = b"one\ntwo\nthree, which is longer\n"
    first = await part(core, offset=4, limit=16)
    assert first == {
        "rank": 0, "stream": "stdout", "offset": 4, "nextOffset": 20, "total": 31, "text": "two\nthree, which"
    }  # fmt: skip
    assert (await part(core, offset=20))["text"] == " is longer\n"
    assert (await part(core, offset=-7))["text"] == "longer\n"
    assert await part(core, offset=31) == first | {"offset": 31, "nextOffset": 31, "text": ""}


async def test_the_parts_joined_are_the_whole_text_however_small_they_are(
    core: httpx.AsyncClient, reader: ScriptedReader
) -> None:
    """LOG-3."""
    reader.log = "æ€😀".encode() * 20 + b"\xff\xfe" + b"end"
    text, offset = "", 0
    while (found := await part(core, offset=offset, limit=17))["nextOffset"] > offset:
        text, offset = text + found["text"], found["nextOffset"]
    assert (text, offset) == ("æ€😀" * 20 + "end", len(reader.log))


async def test_rank_stream_and_job_are_passed_on(core: httpx.AsyncClient, reader: ScriptedReader) -> None:
    await part(core, createdAt=17, rank=3, stream="stderr")
    assert [((ref.id, ref.created_at), place) for ref, place in reader.asked] == [(("1", 17), (3, "stderr"))]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"stream": "stdin"}, 400),
        ({"rank": "first"}, 400),
        ({"offset": "9" * 30}, 400),
        ({"jobId": ""}, 400),
        ({"jobId": "2"}, 404),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_reason(
    core: httpx.AsyncClient, reader: ScriptedReader, query: dict[str, str], status: int
) -> None:
    answer = await core.get(LOGS, params={"jobId": "1"} | query)
    assert (answer.status_code, bool(answer.json()["why"])) == (status, True)
    assert reader.asked == []


@pytest.mark.parametrize("path", [LOGS, USAGE])
async def test_only_the_core_may_ask(stranger: httpx.AsyncClient, reader: ScriptedReader, path: str) -> None:
    answer = await stranger.get(path, params={"jobId": "1"})
    assert answer.status_code == 401
    assert reader.asked == []


async def test_the_newest_use_of_each_rank_is_told(core: httpx.AsyncClient, reader: ScriptedReader) -> None:
    """W15."""
    reader.samples = {
        1: [Sample(5000, 100, 10, 1)],
        0: [Sample(5000, 100, 10, 1, 0, 0, 0, 50), Sample(10_000, 7600, 20, 2, 500, 0, 0, 10_050)],
    }
    answer = (await core.get(USAGE, params={"jobId": "1"})).json()
    assert answer["ranks"] == [
        {
            "rank": 0, "at": 10_000, "memory": 20, "processes": 2, "cores": 1.5,
            "networkReceivedPerSecond": 100.0, "networkSentPerSecond": 0.0,
            "diskReadPerSecond": 0.0, "diskWrittenPerSecond": 2000.0,
        },
        {"rank": 1, "at": 5000, "memory": 10, "processes": 1},
    ]  # fmt: skip
    answer = (await core.get(USAGE, params={"jobId": "1", "history": "true"})).json()
    assert [sample["cpuMillis"] for sample in answer["ranks"][0]["samples"]] == [100, 7600]
