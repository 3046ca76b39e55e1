"""The mission document's example "Extending a Job and terminating it early": its own commands, a real container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e import mission
from tests.e2e.differences import differences
from tests.support.acme import Acme
from tests.support.stack import states, texts
from tests.support.wait import wait_until

HOUR = 3_600_000
OF_A_REAL_JOB = {
    "id": "ids are given one after another",
    "createdAt": "it is today",
    "updates[0]": "`includeUpdates=false` is in the command; the sample shows them all the same",
    "updates[1]": "the same",
    "permissions": "nobody asks to leave them out; they are null in the document's samples only",
    "output": "the folder of the job exists",
    "providerGeneratedId": "every job has one",
    "status.startedAt": "a job that runs has started",
    "status.expiresAt": "five or six hours later (LC-24)",
}
"""Fields in which an answer differs from the sample, and why."""


class Followed:
    """The document's six commands, each run when the job is where the document says that it is."""

    def __init__(self, acme: Acme) -> None:
        self.acme = acme
        self.steps = mission.steps(mission.EXTEND)
        self.job_id = ""
        self.created = self._run(0)
        self.job_id = self.created["responses"][0]["id"]
        acme.stack.wait_state(self.job_id, "RUNNING")
        self.before = self._run(1)
        self.extended = self._run(2)
        wait_until(lambda: self._told_a_new_time() == 21_600_000, "the new time to be told")
        self.after = self._run(3)
        self.terminated = self._run(4)
        acme.stack.wait_state(self.job_id)
        self.over = self._run(5)

    def _run(self, number: int) -> Any:
        """Its commands name the id of the document's job; ours is another number."""
        command = self.steps[number].command.replace("62348", self.job_id or "62348")
        return mission.curl(command, self.acme.stack.url, self.acme.stack.token())

    def _told_a_new_time(self) -> int | None:
        return self.job["updates"][-1]["newTimeAllocation"]

    @property
    def job(self) -> Any:
        return self.acme.stack.job(self.job_id)


@pytest.fixture(scope="module")
def followed(acme: Acme) -> Followed:
    return Followed(acme)


def test_orders_are_answered_as_the_document_shows(followed: Followed) -> None:
    answers = {0: followed.created, 2: followed.extended, 4: followed.terminated}
    for number, answer in answers.items():
        different = set(differences(followed.steps[number].sample, answer))
        assert different == ({"responses[0].id"} if number == 0 else set())


def test_the_job_is_shown_as_in_the_document(followed: Followed) -> None:
    for number, answer in ((1, followed.before), (3, followed.after)):
        assert set(differences(followed.steps[number].sample, answer)) == OF_A_REAL_JOB.keys()


def test_the_hour_that_was_added_moves_its_end_by_exactly_that(followed: Followed) -> None:
    """LC-24: while the specification goes on to show five hours."""
    before, after = followed.before["status"], followed.after["status"]
    assert before["expiresAt"] == before["startedAt"] + 5 * HOUR
    assert after["expiresAt"] == before["expiresAt"] + HOUR
    assert followed.after["specification"]["timeAllocation"] == {"hours": 5, "minutes": 0, "seconds": 0}


def test_the_new_time_is_told_as_the_total_in_milliseconds(followed: Followed) -> None:
    """TIME-6, conformance point 10."""
    [told] = [update for update in followed.job["updates"] if update["newTimeAllocation"] is not None]
    assert told["newTimeAllocation"] == 21_600_000
    assert told["status"] == "Your job has been extended by 1 hour"


def test_it_is_terminated_early_and_says_goodbye(followed: Followed) -> None:
    """LC-4, LC-12; the document shows the state SUCCESS after it, and these texts."""
    sample = followed.steps[5].sample
    assert set(differences(sample, followed.over)) == OF_A_REAL_JOB.keys() | {"updates[2]"}
    assert followed.over["status"]["state"] == sample["status"]["state"] == "SUCCESS"
    assert states(followed.job) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert texts(followed.job)[-1] == sample["updates"][-1]["status"] == "Your job has been cancelled!"
    assert followed.acme.stack.output(followed.job_id).endswith("goodbye\n")
