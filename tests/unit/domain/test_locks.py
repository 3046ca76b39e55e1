"""What becomes of machines whose owner has no funds or permissions any more: their disks stay (SUS-10, ACC-23)."""

from __future__ import annotations

import pytest

from tests.unit.domain.builders import (
    NOW,
    after,
    cleaned_up,
    place,
    queued,
    running,
    spec,
    start_all,
    starting,
    states,
    suspended,
)
from ucloud_ray.domain.effects import CleanUp
from ucloud_ray.domain.events import (
    CleanedUp,
    ReplicaLost,
    StopCause,
    StopRequested,
    SuspendRequested,
    UnsuspendRequested,
)
from ucloud_ray.domain.job import Backend, Job, JobState, Rules, Suspended
from ucloud_ray.domain.lifecycle import decide, outstanding

VM = spec(backend=Backend.VIRTUAL_MACHINE)
LOCKS = [
    (StopCause.NO_CREDITS, "Your machine has been suspended (No more credits)"),
    (StopCause.LOST_PERMISSIONS, "Your machine has been suspended (Lost permissions)"),
]
BROKE = StopRequested(StopCause.NO_CREDITS)


def resumed() -> Job:
    """One that waits in the queue again, its disks on a machine."""
    return after(suspended(), UnsuspendRequested())


@pytest.mark.parametrize(("cause", "text"), LOCKS)
def test_a_machine_that_runs_is_suspended_and_says_why(cause: StopCause, text: str) -> None:
    job, told = cleaned_up(after(running(VM), StopRequested(cause)))
    assert isinstance(job.phase, Suspended)
    assert [(update.state, update.status) for update in told if update.state] == [(JobState.SUSPENDED, text)]
    assert start_all(place(after(job, UnsuspendRequested()))).told is JobState.RUNNING, "it can be resumed later"


@pytest.mark.parametrize("job", [resumed(), place(resumed())], ids=["in the queue", "starting"])
def test_one_that_is_about_to_run_again_keeps_its_disks(job: Job) -> None:
    job = after(job, BROKE)
    for rank in job.ranks:
        job = after(job, ReplicaLost(job.incarnation, rank.rank))
    (cleaning,) = outstanding(job)
    assert isinstance(cleaning, CleanUp)
    assert cleaning.keep_data
    assert isinstance(after(job, CleanedUp(job.incarnation)).phase, Suspended)


@pytest.mark.parametrize("job", [queued(VM), starting(VM)], ids=["in the queue", "starting"])
def test_one_that_never_ran_ends_as_every_other_job(job: Job) -> None:
    """ACC-18."""
    job, told = cleaned_up(after(job, BROKE))
    assert job.final
    assert told[-1].status == "Your job has been terminated (No more credits)"


def test_one_that_is_suspended_stays_so() -> None:
    job = suspended()
    assert after(job, BROKE) is job


def test_one_that_is_being_suspended_is_not_resumed_afterwards() -> None:
    """W11."""
    job = after(running(VM), SuspendRequested(), UnsuspendRequested(), BROKE)
    job, told = cleaned_up(job)
    assert job.phase == Suspended(since=NOW, ranks=job.ranks, resume=False)
    assert [update.state for update in told if update.state] == [JobState.SUSPENDED]


def test_its_user_can_still_end_it() -> None:
    """SUS-12."""
    job = after(running(VM), BROKE, StopRequested(StopCause.CANCELLED))
    job, _ = cleaned_up(job)
    assert job.final


def test_by_option_it_ends() -> None:
    """`vmOnLock: terminate`."""
    job, told = cleaned_up(after(running(VM, Rules(vm_on_lock="terminate")), BROKE))
    assert job.final
    assert told[-1].status == "Your job has been terminated (No more credits)"


@pytest.mark.parametrize("backend", [Backend.DOCKER, Backend.NATIVE])
def test_containers_and_processes_end(backend: Backend) -> None:
    job, effects = decide(running(spec(backend=backend)), BROKE, NOW)
    assert cleaned_up(job)[0].final
    assert states(effects) == []
