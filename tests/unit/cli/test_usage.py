"""What `jobs show` says about the use of each node (W15)."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore, job
from ucloud_ray.cli.usage import size

RANKS = [
    {
        "rank": 0, "at": 1, "cores": 1.534, "memory": 120_500_000, "processes": 3,
        "networkReceivedPerSecond": 1_200_000.0,
        "networkSentPerSecond": 0.0, "diskReadPerSecond": None, "diskWrittenPerSecond": None,
    },
    {"rank": 1, "at": 1, "memory": 900, "processes": 1},
]  # fmt: skip


@pytest.fixture
def running(core: FakeCore) -> FakeCore:
    core.jobs = {"7": job("7", "RUNNING", ("RUNNING", "go"))}
    core.usage = RANKS
    return core


def test_each_node_of_a_running_job_has_a_line(cli: Cli, running: FakeCore) -> None:
    out = cli("jobs", "show", "7").out
    expected = "1.53 cores, 120.5 MB memory, 3 processes, network 1.2 MB/s in and 0 bytes/s out"
    assert [line.split(":", 1)[1].strip() for line in out.splitlines() if " uses:" in line] == [
        expected,
        "900 bytes memory, 1 process",
    ]


def test_json_has_the_figures_themselves(cli: Cli, running: FakeCore) -> None:
    assert json.loads(cli("jobs", "show", "7", "--json").out)["usage"] == RANKS


def test_a_server_that_does_not_tell_is_not_missed(cli: Cli, running: FakeCore) -> None:
    running.usage = None
    outcome = cli("jobs", "show", "7")
    assert (outcome.status, "uses" in outcome.out) == (0, False)
    assert "usage" not in json.loads(cli("jobs", "show", "7", "--json").out)


def test_a_job_that_does_not_run_is_not_asked_for(cli: Cli, running: FakeCore) -> None:
    running.jobs["7"] = job("7", "SUCCESS", ("SUCCESS", "done"))
    assert "uses" not in cli("jobs", "show", "7").out
    assert [path for _, path, _ in running.asked if path.endswith("/usage")] == []


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (5 * 10**16, "50000.0 TB")]
)
def test_sizes_are_decimal(number: int, words: str) -> None:
    assert size(number) == words
