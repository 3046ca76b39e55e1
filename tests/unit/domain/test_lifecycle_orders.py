"""Extending, suspending, resuming, and what is refused beforehand (sections 7, 8 and 11.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.domain.builders import (
    HOUR,
    NOW,
    OK,
    after,
    cleaned_up,
    ended,
    queued,
    running,
    spec,
    starting,
    suspended,
)
from ucloud_ray.domain import timing
from ucloud_ray.domain.effects import Announce, RequestPlacement
from ucloud_ray.domain.events import (
    CleanedUp,
    Doubted,
    ReplicaEnded,
    ReplicaStartFailed,
    StopCause,
    StopRequested,
    SuspendRequested,
    Tick,
    TimeExtended,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, Cleaning, Job, JobState, Queued, Suspended
from ucloud_ray.domain.lifecycle import decide, wakes_at
from ucloud_ray.domain.requests import (
    MAX_ALLOCATION,
    refuse_extension,
    refuse_suspension,
    refuse_unsuspension,
    same_job,
)
from ucloud_ray.domain.restating import restate

VM = Backend.VIRTUAL_MACHINE
CANCEL = StopRequested(StopCause.CANCELLED)


def test_time6_an_extension_is_told_as_the_new_total_and_moves_the_deadline() -> None:
    job, effects = decide(running(spec(time_allocation=5 * HOUR)), TimeExtended(HOUR), NOW)
    assert effects == (Announce(status="Your job has been extended by 1 hour", new_time_allocation=21_600_000),)
    assert wakes_at(job) == NOW + 6 * HOUR


def test_time8_extensions_add_up() -> None:
    job = after(queued(spec(time_allocation=HOUR)), TimeExtended(HOUR), TimeExtended(HOUR))
    assert job.times.allocation == 3 * HOUR


def test_time7_what_cannot_be_extended_is_left_alone() -> None:
    allocated = spec(time_allocation=HOUR)
    for job in (running(), ended(allocated), after(running(allocated), CANCEL)):
        assert after(job, TimeExtended(HOUR)) is job
    job = running(allocated)
    assert after(job, TimeExtended(0)) is job


def test_time7_an_extension_is_refused_with_a_text() -> None:
    job = running(spec(time_allocation=HOUR))
    assert refuse_extension(job, HOUR) is None
    assert refuse_extension(running(), HOUR) is None  # nothing to extend, and 200
    assert refuse_extension(suspended(time_allocation=HOUR), HOUR) is None
    assert refuse_extension(job, 0) == "The time to add must be positive."
    assert refuse_extension(job, MAX_ALLOCATION) == "The job cannot be extended that far. Ask for less time."
    assert refuse_extension(ended(), HOUR) == "The job has ended and cannot be extended."
    assert refuse_extension(after(job, CANCEL), HOUR) == "The job is about to end and cannot be extended."
    retried = after(starting(), ReplicaStartFailed(1, 0, "busy", retryable=True))
    assert refuse_extension(retried, HOUR) is None


def test_sus2_only_machines_are_suspended() -> None:
    for job in (queued(), running()):
        assert refuse_suspension(job) == "Only virtual machines can be suspended. Stop the job instead."
        assert after(job, SuspendRequested()) is job
    assert refuse_suspension(running(spec(backend=VM))) is None
    assert refuse_suspension(suspended()) is None
    assert refuse_suspension(after(suspended(), CANCEL)) == "The job is about to end and cannot be suspended."


def test_sus4_a_second_suspension_changes_nothing() -> None:
    once = after(running(spec(backend=VM)), SuspendRequested())
    assert after(once, SuspendRequested()) is once
    resting = suspended()
    assert after(resting, SuspendRequested()) is resting


def test_sus6_resuming_is_refused_for_what_is_not_suspended() -> None:
    assert refuse_unsuspension(suspended()) is None
    assert refuse_unsuspension(running(spec(backend=VM))) is None
    assert refuse_unsuspension(ended(spec(restart_on_exit=True))) is None
    assert refuse_unsuspension(running()) == "Only virtual machines can be resumed."
    assert refuse_unsuspension(queued(spec(backend=VM))) == "The machine is starting already."
    assert refuse_unsuspension(ended()) == "The job has ended and cannot be resumed."


def test_w11_resuming_while_the_suspension_is_under_way_is_done_afterwards() -> None:
    job = after(running(spec(backend=VM)), SuspendRequested(), UnsuspendRequested())
    assert refuse_unsuspension(job) is None
    job, updates = cleaned_up(job)
    assert [update.state for update in updates] == [None, JobState.SUSPENDED]
    assert wakes_at(job) == NOW
    job, effects = decide(job, Tick(), NOW)
    assert isinstance(job.phase, Queued)
    assert RequestPlacement(2) in effects


def test_the_last_of_several_wishes_about_a_machine_counts() -> None:
    job = after(running(spec(backend=VM)), SuspendRequested(), UnsuspendRequested(), SuspendRequested())
    job, _ = cleaned_up(job)
    assert isinstance(job.phase, Suspended)
    assert after(job, Tick(), at=NOW + HOUR) is job


def test_a_machine_between_two_attempts_can_be_suspended() -> None:
    job = after(starting(spec(backend=VM)), ReplicaStartFailed(1, 0, "busy", retryable=True), SuspendRequested())
    assert isinstance(job.phase, Cleaning)
    assert after(job, CleanedUp(1)).told is JobState.SUSPENDED


def test_time4_a_resumed_machine_is_held_to_its_first_running() -> None:
    job = after(suspended(time_allocation=HOUR), UnsuspendRequested(), at=NOW + 10)
    assert wakes_at(job) is None  # never from the queue (LC-2)
    assert after(job, Tick(), at=NOW + 2 * HOUR) is job
    assert timing.deadline(job) == NOW + HOUR


# ---------------------------------------------------------------------------------------------- repeated creates


def test_o3_a_job_is_known_by_its_creation_and_what_was_asked_for() -> None:
    job = running()
    assert same_job(job, job.created_at, spec())
    assert not same_job(job, Millis(job.created_at + 1), spec())
    assert not same_job(job, job.created_at, spec(replicas=2))
    assert not same_job(job, job.created_at, spec(time_allocation=HOUR))


def test_a_changed_configuration_does_not_make_another_job() -> None:
    changed = replace(spec(), machine=replace(spec().machine, cpu_milli=1), application_title="New title")
    assert same_job(running(), NOW, changed)
    other = replace(spec().machine.product, id="other")
    assert not same_job(running(), NOW, replace(spec(), machine=replace(spec().machine, product=other)))


@pytest.mark.parametrize(
    ("job", "state", "status"),
    [
        (queued(), JobState.IN_QUEUE, "Your job is now waiting in the queue!"),
        (running(), JobState.RUNNING, "Your job is now running!"),
        (after(running(), CANCEL), JobState.CANCELING, "Your job is being cancelled"),
        (suspended(), JobState.SUSPENDED, "The virtual machine is powered off."),
    ],
    ids=["queued", "running", "canceling", "suspended"],
)
def test_the_present_state_can_be_told_again(job: Job, state: JobState, status: str) -> None:
    """REC-13, W12."""
    assert restate(job) == Announce(state=state, status=status, expected_different_state=True)
    assert restate(job, even_if_same=True) == Announce(state=state, status=status)


def test_the_final_update_can_be_told_again() -> None:
    """11.4."""
    job, [update] = cleaned_up(after(running(), ReplicaEnded(1, 0, OK)))
    assert restate(job) == update


def test_a_job_that_ends_is_not_told_to_have_ended_before_it_has() -> None:
    job = after(running(), ReplicaEnded(1, 0, OK))
    assert isinstance(job.phase, Cleaning)
    assert restate(job) == restate(running())


def test_a_doubt_changes_nothing_about_the_job_and_is_answered_while_it_lives() -> None:
    """W12, LC-1."""
    job = running()
    assert decide(job, Doubted(even_if_same=True), NOW) == (job, (restate(job, even_if_same=True),))
    over, _ = cleaned_up(after(running(), ReplicaEnded(1, 0, OK)))
    assert decide(over, Doubted(even_if_same=True), NOW) == (over, ())


def test_a_forgotten_job_is_never_told_again() -> None:
    forgotten = after(running(), StopRequested(StopCause.FORGOTTEN))
    assert restate(forgotten) is None
    assert decide(forgotten, Doubted(even_if_same=True), NOW) == (forgotten, ())
