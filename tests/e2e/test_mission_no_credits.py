"""The mission document's example "Running out of compute credits": its own commands, a real process, a wallet that
goes down.

In the document 500 credits last for "a couple of minutes". Here the machine is dearer, so that they last for seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
from tests.e2e.test_charges import ours
from tests.e2e.test_mission_time import OF_A_REAL_END
from tests.support.stack import NO_DOCKER, PROVIDER, Stack, new_stack, states, texts
from tests.support.wait import wait_until
from ucloud_ray.orchestrator import tokens

APPLICATIONS = Path(__file__).parents[1] / "support/acme-native.yaml"
CONFIG = """
orchestrator: {initialGrant: 0}
accounting: {style: reportUsage}
policy: {chargeIntervalSeconds: 1}
products:
  - {name: example-compute, category: example-compute, cpu: 10, memoryInGigs: 20, price: 10000}
"""
GRANTED, LEFT = 500_000_000, 500
LATE = 2_000
"""Milliseconds that a busy machine may take to tell that a job runs."""
OF_A_REAL_WALLET = {
    "items[0].allocations[0].id": "ids are given one after another",
    "items[0].allocations[0].allocationPath[0]": "the same",
    "items[0].allocations[0].startDate": "it is today",
    "items[0].allocations[0].grantedIn": "there are no applications for grants here",
}


class Followed:
    """The document's three commands, each run when the job is where the document says that it is."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.steps = mission.steps(mission.NO_CREDITS)
        _use_up(stack, GRANTED - LEFT)
        self.wallet = self._run(0)
        self.created = self._run(1)
        self.job_id = self.created["responses"][0]["id"]
        stack.wait_state(self.job_id)
        self.over = self._run(2, self.job_id)
        self.empty = self._run(0)
        self.refused = self._run(1)

    def _run(self, number: int, job_id: str = "") -> Any:
        """The last command names the id of the document's job; ours is another number."""
        command = self.steps[number].command
        return mission.curl(command.replace("62348", job_id or "62348"), self.stack.url, self.stack.token())


def _use_up(stack: Stack, amount: int) -> None:
    """As if jobs had run before: told by the provider."""
    usage = {
        "isDeltaCharge": True,
        "owner": {"type": "user", "username": "user"},
        "categoryIdV2": {"name": "example-compute", "provider": PROVIDER},
        "usage": amount,
        "description": {"scope": "jobs-before"},
    }
    headers = {"Authorization": f"Bearer {tokens.provider_token(stack.keys, PROVIDER)}"}
    url = f"{stack.url}/api/accounting/v2/reportUsage"
    answer = httpx.post(url, json={"items": [usage]}, headers=headers, timeout=30.0)
    assert answer.json() == {"responses": [True]}


@pytest.fixture(scope="module")
def followed() -> Iterator[Followed]:
    stack = new_stack(NO_DOCKER)
    try:
        (stack.data.parent / "ucloud-ray.yaml").write_text(CONFIG)
        stack.up()
        for command in (("apps", "add", str(APPLICATIONS)), ("wallets", "grant", "user", "example-compute", "500DKK")):
            assert stack.cli(*command).returncode == 0
        yield Followed(stack)
    finally:
        stack.close()


def test_the_wallet_is_shown_as_in_the_document(followed: Followed, as_written: AsWritten) -> None:
    as_written(mission.NO_CREDITS, 0, followed.wallet, OF_A_REAL_WALLET)


def test_the_job_is_taken_for_there_is_something_left(followed: Followed, as_written: AsWritten) -> None:
    as_written(mission.NO_CREDITS, 1, followed.created, mission.AN_ID)


def test_the_job_runs_and_is_killed_when_the_credits_are_gone(followed: Followed) -> None:
    """ACC-16, conformance point 14: with the state and the words of the document."""
    job = followed.stack.job(followed.job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == followed.steps[2].sample["updates"][-1]["status"]


def test_the_job_is_shown_as_in_the_document(followed: Followed, as_written: AsWritten) -> None:
    sample = followed.steps[2].sample
    as_written(mission.NO_CREDITS, 2, followed.over, OF_A_REAL_END)
    assert followed.over["status"]["allowRestart"] is sample["status"]["allowRestart"] is False


def test_it_was_charged_for_the_time_that_it_ran(followed: Followed) -> None:
    """ACC-14, ACC-17: 10,000 credits a minute; what it had used when it was stopped is owed."""
    job = followed.stack.job(followed.job_id)
    ran = job["updates"][-1]["timestamp"] - job["status"]["startedAt"]
    (allocation,) = followed.empty["items"][0]["allocations"]
    used = LEFT - allocation["balance"]
    assert LEFT <= used <= (ran + LATE) * 10_000 // 60_000


def test_in_the_end_exactly_its_running_time_is_paid_for(followed: Followed) -> None:
    """ACC-13, ACC-14, O6: as the provider measured it, rounded down."""
    expected = 10_000 * ours(followed.stack, followed.job_id).times.ran // 60_000

    def paid() -> int:
        (allocation,) = followed.stack.get("/api/accounting/wallets/browse")["items"][0]["allocations"]
        return int(LEFT - allocation["balance"])

    wait_until(lambda: paid() == expected, f"{expected} credits to be paid")


def test_the_next_job_is_refused_and_not_stored(followed: Followed) -> None:
    """ACC-18."""
    assert followed.refused["statusCode"] == 402
    assert followed.refused["errorCode"] == "NOT_ENOUGH_COMPUTE_CREDITS"
    (only,) = followed.stack.get("/api/jobs/browse")["items"]
    assert only["id"] == followed.job_id
