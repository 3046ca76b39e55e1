"""What following looks like on a command line; what is told, and when, is tested in `client`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore, job
from tests.unit.client.conftest import CLOSED
from tests.unit.client.test_following import END, message, refusal, stdout


def test_a_server_that_stays_away_is_given_up_with_the_way_back(cli: Cli, scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING"), CLOSED]]
    outcome = cli("jobs", "logs", "-f", "7")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].endswith(
        "was lost; job 7 goes on; follow it again with `ucloud-ray jobs logs -f 7`"
    )


def test_a_refusal_is_one_line(cli: Cli, scripts: list[list[Any]]) -> None:
    scripts += [[refusal(403, "not yours")]]
    outcome = cli("jobs", "logs", "-f", "7")
    assert (outcome.status, outcome.err.splitlines()[-1]) == (1, "ucloud-ray: not yours")


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


def test_ctrl_c_explains_that_the_job_goes_on(cli: Cli, core: FakeCore, scripts: list[list[Any]]) -> None:
    scripts += [[message("RUNNING"), KeyboardInterrupt]]
    outcome = cli("jobs", "logs", "-f", "7")
    assert outcome.status == 1
    assert "job 7 goes on; stop it with `ucloud-ray jobs stop 7`" in outcome.err
    assert core.changes() == []
