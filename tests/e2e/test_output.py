"""Our own calls on a real installation: parts of the output, what ranks use, and graphs for those who ask (W15)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.support.stack import NATIVE_SHELL, Stack
from tests.support.wait import wait_until

SCRIPT = """echo 'æ one'; echo two >&2
while [ ! -e gate ]; do i=$((i+1)); [ $((i % 5000)) = 0 ] && sleep 0.01; done"""


@pytest.fixture(scope="module")
def job(shells: Stack) -> Iterator[str]:
    """It keeps a processor busy and has written."""
    job_id = shells.create(NATIVE_SHELL, var=SCRIPT)
    shells.wait_state(job_id, "RUNNING")
    wait_until(lambda: shells.get(f"/api/jobs/{job_id}/logs")["total"] == 7, "the first line")
    yield job_id
    shells.stop(job_id)


def test_a_part_of_the_output_is_told_by_offset(shells: Stack, job: str) -> None:
    expected = {"jobId": job, "rank": 0, "stream": "stdout", "total": 7, "state": "RUNNING"}
    assert shells.get(f"/api/jobs/{job}/logs") == expected | {"offset": 0, "nextOffset": 7, "text": "æ one\n"}
    assert shells.get(f"/api/jobs/{job}/logs", offset="-4") == expected | {
        "offset": 3,
        "nextOffset": 7,
        "text": "one\n",
    }
    assert shells.get(f"/api/jobs/{job}/logs", stream="stderr")["text"] == "two\n"


def test_the_use_of_each_rank_is_shown_and_drawn(shells: Stack, job: str) -> None:
    """Sampled every five seconds; the follow draws it for who asks, and for nobody else."""

    def shown() -> list[dict[str, float]]:
        told = json.loads(shells.cli("jobs", "show", job, "--json", f"--data={shells.data}").stdout)
        return [rank for rank in told.get("usage", []) if "cores" in rank]

    wait_until(lambda: bool(shown()), "two samples", timeout=20.0)
    (rank,) = shown()
    assert rank["cores"] > 0.05
    assert rank["memory"] > 10_000
    assert rank["processes"] >= 1
    assert "node 0 uses" in shells.cli("jobs", "show", job, f"--data={shells.data}").stdout
    assert {"ui", "utilization-data-reset", "utilization-data"} <= _channels(shells, job, channels=True)
    assert _channels(shells, job, channels=False) == {"None"}


def _channels(shells: Stack, job: str, channels: bool) -> set[str]:
    """Of the first entries, up to the output and, if there are some, a row of figures."""
    payload = {"id": job, "channels": channels}
    request = {"call": "jobs.follow", "streamId": "0", "payload": payload, "bearer": shells.token(), "project": None}
    seen: set[str] = set()
    with connect(f"ws{shells.url.removeprefix('http')}/api/jobs", proxy=None) as socket:
        socket.send(json.dumps(request))
        while "None" not in seen or (channels and "utilization-data" not in seen):
            for entry in (json.loads(socket.recv(timeout=20)).get("payload") or {}).get("log") or []:
                seen.add(str(entry.get("channel")))
    return seen
