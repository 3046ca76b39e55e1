"""The mission document's example "Extending a Job and terminating it early": its own commands, a real container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
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
ANOTHER_UPDATE = {"updates[2]": "as for the others: the command asks for none"}
OF_A_REAL_END = {name: why for name, why in OF_A_REAL_JOB.items() if name != "status.expiresAt"} | ANOTHER_UPDATE
"""Of a job without a time allocation: nobody expects its end."""


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


def test_orders_are_answered_as_the_document_shows(followed: Followed, as_written: AsWritten) -> None:
    as_written(mission.EXTEND, 0, followed.created, mission.AN_ID)
    as_written(mission.EXTEND, 2, followed.extended, {})
    as_written(mission.EXTEND, 4, followed.terminated, {})


def test_the_job_is_shown_as_in_the_document(followed: Followed, as_written: AsWritten) -> None:
    as_written(mission.EXTEND, 1, followed.before, OF_A_REAL_JOB)
    as_written(mission.EXTEND, 3, followed.after, OF_A_REAL_JOB)


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


def test_it_is_terminated_early_and_says_goodbye(followed: Followed, as_written: AsWritten) -> None:
    """LC-4, LC-12; the document shows the state SUCCESS after it, and these texts."""
    sample = followed.steps[5].sample
    as_written(mission.EXTEND, 5, followed.over, OF_A_REAL_JOB | ANOTHER_UPDATE)
    assert followed.over["status"]["state"] == sample["status"]["state"] == "SUCCESS"
    assert states(followed.job) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert texts(followed.job)[-1] == sample["updates"][-1]["status"] == "Your job has been cancelled!"
    assert followed.acme.stack.output(followed.job_id).endswith("goodbye\n")
