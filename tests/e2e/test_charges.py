"""What real jobs are charged for, as the orchestrator has it in its books (ACC-1 to ACC-8, conformance point 13).

Several units of time, lost answers and the other styles are in `tests/unit`: a unit of time is a minute here.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.e2e.conformance.looking import home, put
from tests.faults.victims import Victims
from tests.support.stack import NATIVE_SHELL, Stack
from tests.support.wait import wait_until
from ucloud_ray.domain.job import Job
from ucloud_ray.store.rows import job_of

PRICE = 100_000
"""Of `example-small`, for a minute."""


def ours(stack: Stack, job_id: str) -> Job:
    """The job as the provider has it on disk."""
    with closing(sqlite3.connect(stack.data / "jobs.db")) as file:
        (record,) = file.execute("SELECT record FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return job_of(record)


def charges(stack: Stack, job_id: str) -> list[tuple[str, int, int, int]]:
    """Name, units, periods and what was taken, of every charge for the job."""
    columns = "charge_id, units, periods, amount"
    with closing(sqlite3.connect(stack.data / "orchestrator.db")) as file:
        return file.execute(f"SELECT {columns} FROM orchestrator_charges WHERE job_id = ?", (int(job_id),)).fetchall()


def waiting(stack: Stack, job_id: str) -> int:
    """Charges that the Core has not taken."""
    with closing(sqlite3.connect(stack.data / "jobs.db")) as file:
        (number,) = file.execute("SELECT COUNT(*) FROM charges WHERE job_id = ?", (job_id,)).fetchone()
    return int(number)


def settled(stack: Stack, job_id: str) -> None:
    wait_until(lambda: charges(stack, job_id), f"job {job_id} to be charged for", timeout=60.0)
    wait_until(lambda: waiting(stack, job_id) == 0, "no charge to wait", timeout=60.0)


@contextmanager
def deaf(pid: int) -> Iterator[None]:
    """A process that takes connections and answers nobody."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_begun_minutes_of_every_replica_are_charged_once(shells: Stack) -> None:
    """ACC-5 to ACC-7: the name is the job's and the moment's at which it began to run."""
    one, three = shells.create(NATIVE_SHELL, var="true"), shells.create(NATIVE_SHELL, var="true", replicas=3)
    for job_id, replicas in ((one, 1), (three, 3)):
        shells.wait_state(job_id)
        settled(shells, job_id)
        name = f"{job_id}-charge-{ours(shells, job_id).times.first_running}"
        assert charges(shells, job_id) == [(name, 1, replicas, replicas * PRICE)]


def test_a_job_that_is_stopped_before_it_ran_costs_nothing(shells: Stack) -> None:
    """ACC-1. The machines are full; a charge for a later job shows that it is not merely late."""
    full = {"product": {"id": "example-compute", "category": "example-compute", "provider": "example"}}
    room = shells.create(NATIVE_SHELL, var="exec sleep 600", replicas=4, **full)
    shells.wait_state(room, "RUNNING")
    waits = shells.create(NATIVE_SHELL, var="true")
    shells.stop(waits)
    shells.stop(room)
    settled(shells, room)
    assert ours(shells, waits).times.first_running is None
    assert charges(shells, waits) == []


def test_a_job_that_ends_while_nobody_can_be_told_is_charged_once_for_it(shells: Stack) -> None:
    """ACC-8, ACC-22: neither a Core that does not answer nor a supervisor that is killed meanwhile loses or doubles."""
    go = home(shells) / "charges-go"
    job_id = shells.create(NATIVE_SHELL, var=f"while [ ! -e {go} ]; do sleep 0.05; done", replicas=2)
    shells.wait_state(job_id, "RUNNING")
    victims = Victims(shells)
    with deaf(shells.pid("orchestrator")):
        put(go, "")
        wait_until(lambda: ours(shells, job_id).final, "the provider to see its end", timeout=60.0)
        assert waiting(shells, job_id) == 1, "it is on disk with the end itself"
        victims.kill(victims.supervisor())
    go.unlink()
    shells.wait_answering()
    shells.wait_state(job_id)
    settled(shells, job_id)
    times = ours(shells, job_id).times
    assert times.ran > 0
    assert charges(shells, job_id) == [(f"{job_id}-charge-{times.first_running}", 1, 2, 2 * PRICE)]
