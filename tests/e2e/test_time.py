"""Time goes on evenly for jobs, whoever sets the machine's clock and whoever is started again meanwhile (section 7).

One installation of its own, whose processes read a clock that is moved for real (`tests/support/clock.py`). It tells no
CANCELING (LC-4), and gives programs a second to end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conformance.looking import job_folder, processes_in
from tests.faults.victims import Victims
from tests.support import clock
from tests.support.clock import MovedClock
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, Stack, new_stack, states, texts
from tests.support.wait import wait_until

HOUR = 3600
LONG = {"hours": 1, "minutes": 0, "seconds": 0}
SHORT = {"hours": 0, "minutes": 0, "seconds": 3}
ENDED = ["IN_QUEUE", "RUNNING", "EXPIRED"]
CONFIG = "policy: {cancelingState: false, stopGraceSeconds: 1}\n"
WAITS = "exec sleep 600"
DEAF = "trap 'echo no >&2' TERM; touch ready; while :; do sleep 0.1; done"


@dataclass
class Timed:
    stack: Stack
    clock: MovedClock

    def supervisor_is_killed_and_comes_back(self) -> None:
        victims = Victims(self.stack)
        killed = victims.supervisor()
        victims.kill(killed)
        victims.wait_supervised(killed)

    def start(self, script: str = WAITS, **changes: object) -> str:
        job_id = self.stack.create(NATIVE_SHELL, var=script, **changes)
        self.stack.wait_state(job_id, "RUNNING")
        return job_id

    def has(self, job_id: str, name: str) -> bool:
        """Whether the program has made that file."""
        return (job_folder(self.stack, self.stack.job(job_id)) / name).exists()


@pytest.fixture(scope="module")
def timed() -> Iterator[Timed]:
    if reason := clock.missing():
        pytest.skip(reason)
    stack = new_stack(NO_DOCKER)
    moved = MovedClock(stack.data.parent)
    stack.environment |= moved.environment
    (stack.data.parent / "ucloud-ray.yaml").write_text(CONFIG)
    try:
        stack.up()
        stack.add_shells()
        yield Timed(stack, moved)
    finally:
        stack.close()


@pytest.mark.parametrize("hours", [2, -2], ids=["forward", "back"])
def test_a_jump_of_the_clock_and_a_new_supervisor_change_no_jobs_time(timed: Timed, hours: int) -> None:
    """TIME-11, TIME-13: an hour is not over after a jump of two, and three seconds are over in spite of it."""
    long = timed.start(timeAllocation=LONG)
    short = timed.start(timeAllocation=SHORT)
    timed.clock.move(hours * HOUR)
    timed.supervisor_is_killed_and_comes_back()
    assert states(timed.stack.wait_state(short)) == ENDED
    assert timed.stack.run(NATIVE_SHELL, var="true")["status"]["state"] == "SUCCESS"
    assert states(timed.stack.job(long)) == ["IN_QUEUE", "RUNNING"]
    assert f"2 hours {'behind' if hours > 0 else 'ahead of'} the machine's clock" in timed.stack.cli("status").stderr
    timed.stack.stop(long)
    timed.clock.move(0)
    assert processes_in(timed.stack, long) + processes_in(timed.stack, short) == []


def test_who_was_away_at_the_deadline_ends_the_job_at_the_next_start(timed: Timed) -> None:
    """TIME-11: the program runs until then, and hears of it."""
    script = "trap 'echo the last words; exit 0' TERM; sleep 4 & wait $!; touch late; sleep 600 & wait"
    job_id = timed.start(script, timeAllocation=SHORT)
    folder = job_folder(timed.stack, timed.stack.job(job_id))
    os.kill(Victims(timed.stack).supervisor()[0], signal.SIGSTOP)
    wait_until(lambda: (folder / "late").exists(), "the program to run for longer than it may")
    timed.supervisor_is_killed_and_comes_back()
    job = timed.stack.wait_state(job_id)
    assert states(job) == ENDED
    assert texts(job)[-1] == "Your job has expired"
    assert timed.stack.output(job_id) == "the last words\n"
    assert processes_in(timed.stack, job_id) == []


def test_a_program_that_does_not_end_at_its_deadline_is_killed_after_the_grace(timed: Timed) -> None:
    """TIME-10: and a cancellation that comes meanwhile changes nothing (TIME-12)."""
    job_id = timed.start(DEAF, timeAllocation=SHORT)
    folder = job_folder(timed.stack, timed.stack.job(job_id))
    wait_until(lambda: "no" in (folder / "stderr-0.log").read_text(), "the program to refuse to end")
    timed.stack.post("/api/jobs/terminate", {"id": job_id})
    job = timed.stack.wait_state(job_id)
    assert states(job) == ENDED
    assert processes_in(timed.stack, job_id) == []


def test_a_supervisor_that_dies_while_it_stops_a_job_goes_on_stopping_it(timed: Timed) -> None:
    """REC-18, REC-19, T5: one final state, of the first cause; nothing tells CANCELING by option (LC-4)."""
    job_id = timed.start(DEAF)
    wait_until(lambda: timed.has(job_id, "ready"), "the program to be deaf")
    timed.stack.post("/api/jobs/terminate", {"id": job_id})
    timed.supervisor_is_killed_and_comes_back()
    timed.stack.post("/api/jobs/terminate", {"id": job_id})
    job = timed.stack.wait_state(job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == "Your job has been cancelled!"
    assert processes_in(timed.stack, job_id) == []
