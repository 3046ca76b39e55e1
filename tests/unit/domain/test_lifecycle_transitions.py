"""Every row of the transition table (job-semantics 1.2), by its number."""

from __future__ import annotations

from tests.unit.domain.builders import (
    HANDLE,
    HOUR,
    NOW,
    OK,
    after,
    announced,
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
from ucloud_ray.domain.effects import (
    Announce,
    CleanUp,
    RequestPlacement,
    StartReplica,
    StopReplica,
    WatchReplica,
)
from ucloud_ray.domain.events import (
    CleanedUp,
    PlacementGranted,
    PlacementImpossible,
    ReplicaEnded,
    ReplicaLost,
    ReplicaStarted,
    ReplicaStartFailed,
    StopCause,
    StopRequested,
    SuspendRequested,
    Tick,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import (
    Backend,
    Ending,
    Final,
    JobState,
    Queued,
    Rules,
    Running,
    Starting,
    Suspended,
)
from ucloud_ray.domain.lifecycle import accept, decide, wakes_at

VM = Backend.VIRTUAL_MACHINE
CANCEL = StopRequested(StopCause.CANCELLED)
WAITING = "Your job is now waiting in the queue!"


def test_t1_an_accepted_job_waits_in_the_queue_and_says_so() -> None:
    job, effects = accept(
        uid=JobUid("uid"), id=JobId("41"), created_at=NOW, spec=spec(time_allocation=HOUR), rules=Rules(), now=NOW
    )
    assert effects == (Announce(state=JobState.IN_QUEUE, status=WAITING), RequestPlacement(1))
    assert job.phase == Queued(since=NOW)
    assert (job.told, job.incarnation, job.times.allocation) == (JobState.IN_QUEUE, 0, HOUR)
    assert wakes_at(job) is None


def test_a_grant_starts_every_rank_where_it_was_placed() -> None:
    job, effects = decide(queued(spec(2)), PlacementGranted(1, ("a", "b")), NOW)
    text = "Your job has been scheduled and is starting soon (Assigned to a, b)"
    told = Announce(status=text, passing=True)
    assert effects == (told, StartReplica(1, 0, "a"), StartReplica(1, 1, "b"))
    assert isinstance(job.phase, Starting)
    assert job.told is JobState.IN_QUEUE


def test_t2_the_last_rank_to_start_makes_the_job_running() -> None:
    """LC-5, W4: state, text and folder in one update."""
    first, effects = decide(starting(spec(2)), ReplicaStarted(1, 0, HANDLE), NOW)
    assert effects == (WatchReplica(1, 0, "node-0", HANDLE),)
    job, effects = decide(first, ReplicaStarted(1, 1, HANDLE), Millis(NOW + 5))
    running_update = Announce(state=JobState.RUNNING, status="Your job is now running!", expected_different_state=True)
    assert effects == (WatchReplica(1, 1, "node-1", HANDLE), running_update)
    assert isinstance(job.phase, Running)
    assert (job.times.first_running, job.times.last_running) == (NOW + 5, NOW + 5)


def test_t3_a_user_cancels_while_waiting() -> None:
    job, effects = decide(queued(), CANCEL, NOW)
    assert states(effects) == [(JobState.CANCELING, "Your job is being cancelled")]
    assert CleanUp(1, ()) in effects  # a grant under way is released, too
    assert after(job, PlacementGranted(1, ("a",))) is job
    job, updates = cleaned_up(job)
    assert [(update.state, update.status) for update in updates] == [(JobState.SUCCESS, "Your job has been cancelled!")]


def test_t3_a_user_cancels_while_ranks_are_starting() -> None:
    """REC-18: also the rank whose start is under way is stopped, and stopped again once it turns out to run."""
    job = after(starting(spec(2)), ReplicaStarted(1, 0, HANDLE))
    job, effects = decide(job, CANCEL, NOW)
    assert effects[1:] == (StopReplica(1, 0, "node-0", HANDLE, 10_000), StopReplica(1, 1, "node-1", None, 10_000))
    job, effects = decide(job, ReplicaStarted(1, 1, HANDLE), NOW)
    assert effects == (StopReplica(1, 1, "node-1", HANDLE, 10_000), WatchReplica(1, 1, "node-1", HANDLE))
    job = after(job, ReplicaEnded(1, 0, OK))
    assert isinstance(job.phase, Ending)
    job, effects = decide(job, ReplicaLost(1, 1), NOW)
    assert effects == (CleanUp(1, ("node-0", "node-1")),)
    assert cleaned_up(job)[0].told is JobState.SUCCESS


def test_t4_a_job_that_can_never_be_placed_fails() -> None:
    job, effects = decide(queued(), PlacementImpossible("the product was withdrawn"), NOW)
    assert effects == (CleanUp(1, ()),)
    job, updates = cleaned_up(job)
    assert updates == [
        Announce(
            state=JobState.FAILURE,
            status="Your job could not be started: the product was withdrawn",
            expected_different_state=True,
        )
    ]


def test_t4_a_start_that_cannot_succeed_fails_the_job_and_stops_its_other_ranks() -> None:
    job = after(starting(spec(2)), ReplicaStarted(1, 0, HANDLE))
    job, effects = decide(job, ReplicaStartFailed(1, 1, "no such image"), NOW)
    assert effects == (StopReplica(1, 0, "node-0", HANDLE, 10_000),)
    job, updates = cleaned_up(job)
    assert [update.status for update in updates] == ["Your job could not be started: no such image"]
    assert job.told is JobState.FAILURE


def test_t4_a_rank_that_is_lost_while_starting_fails_the_job() -> None:
    job, effects = decide(starting(), ReplicaLost(1, 0), NOW)
    assert effects == (CleanUp(1, ("node-0",)),)
    assert cleaned_up(job)[0].told is JobState.FAILURE


def test_t5_a_job_that_waits_ends_as_success_when_the_credits_do() -> None:
    job, effects = decide(queued(), StopRequested(StopCause.NO_CREDITS), NOW)
    assert effects == (CleanUp(1, ()),)
    assert cleaned_up(job)[0].told is JobState.SUCCESS


def test_t5_without_the_canceling_state_a_cancelled_job_only_succeeds() -> None:
    """LC-4."""
    job, effects = decide(queued(rules=Rules(canceling_state=False)), CANCEL, NOW)
    assert announced(effects) == []
    job, updates = cleaned_up(job)
    assert [update.state for update in updates] == [JobState.SUCCESS]


def test_t6_an_application_that_ends_is_cleaned_up_before_the_core_knows() -> None:
    """LC-19."""
    job, effects = decide(running(), ReplicaEnded(1, 0, OK), NOW)
    assert effects == (CleanUp(1, ("node-0",)),)
    job, effects = decide(job, CleanedUp(1), Millis(NOW + 9))
    assert effects == (
        Announce(
            state=JobState.SUCCESS,
            status="The job has finished processing!",
            allow_restart=True,
            expected_different_state=True,
        ),
    )
    assert isinstance(job.phase, Final)
    assert job.phase.at == NOW + 9


def test_t7_a_lost_machine_fails_the_job() -> None:
    job, effects = decide(running(spec(2)), ReplicaLost(1, 1), NOW)
    assert effects == (StopReplica(1, 0, "node-0", HANDLE, 10_000),)
    assert cleaned_up(job)[0].told is JobState.FAILURE


def test_t8_the_deadline_ends_a_running_job() -> None:
    job = running(spec(time_allocation=HOUR))
    assert wakes_at(job) == NOW + HOUR
    assert after(job, Tick(), at=NOW + HOUR - 1) is job
    job, effects = decide(job, Tick(), Millis(NOW + HOUR))
    assert effects == (StopReplica(1, 0, "node-0", HANDLE, 10_000),)
    assert cleaned_up(job)[0].told is JobState.EXPIRED


def test_t9_a_user_cancels_a_running_job_once() -> None:
    job, effects = decide(running(), CANCEL, NOW)
    assert states(effects) == [(JobState.CANCELING, "Your job is being cancelled")]
    assert StopReplica(1, 0, "node-0", HANDLE, 10_000) in effects
    assert len(effects) == 2
    assert after(job, CANCEL) is job


def test_t10_a_suspended_machine_keeps_its_data_and_says_why_twice() -> None:
    """SUS-3; W6: the page of a machine shows a text only without a state."""
    job = after(running(spec(backend=VM)), SuspendRequested())
    job, effects = decide(job, ReplicaEnded(1, 0, OK), NOW)
    assert effects == (CleanUp(1, ("node-0",), keep_data=True),)
    job, effects = decide(job, CleanedUp(1), NOW)
    text = "The virtual machine is powered off."
    assert effects == (
        Announce(status=text),
        Announce(state=JobState.SUSPENDED, status=text, expected_different_state=True),
    )
    assert isinstance(job.phase, Suspended)
    assert job.phase.ranks[0].host == "node-0"


def test_t10_a_machine_that_powers_itself_off_is_suspended() -> None:
    """SUS-5."""
    job, _ = cleaned_up(after(running(spec(backend=VM)), ReplicaEnded(1, 0, OK)))
    assert isinstance(job.phase, Suspended)


def test_t10_a_machine_in_the_queue_is_suspended_without_having_run() -> None:
    """SUS-4."""
    job, effects = decide(queued(spec(backend=VM)), SuspendRequested(), NOW)
    assert effects == (CleanUp(1, (), keep_data=True),)
    assert cleaned_up(job)[0].told is JobState.SUSPENDED


def test_t11_a_resumed_machine_waits_in_the_queue_under_a_new_number() -> None:
    job, effects = decide(suspended(), UnsuspendRequested(), NOW)
    update = Announce(state=JobState.IN_QUEUE, status=WAITING, expected_different_state=True)
    assert effects == (update, RequestPlacement(2))
    assert start_all(place(job)).told is JobState.RUNNING


def test_t12_a_suspended_machine_that_is_cancelled_loses_its_data() -> None:
    """SUS-12. The new number keeps the clean-up of the suspension from counting for this one."""
    job, effects = decide(suspended(), CANCEL, NOW)
    assert CleanUp(2, ("node-0",), keep_data=False) in effects
    assert states(effects) == [(JobState.CANCELING, "Your job is being cancelled")]
    assert after(job, CleanedUp(1)) is job
    assert cleaned_up(job)[0].told is JobState.SUCCESS


def test_t12_a_suspended_machine_expires() -> None:
    """TIME-4."""
    job = after(suspended(time_allocation=HOUR), Tick())  # which warns
    assert wakes_at(job) == NOW + HOUR
    job, effects = decide(job, Tick(), Millis(NOW + HOUR))
    assert effects == (CleanUp(2, ("node-0",)),)
    assert cleaned_up(job)[0].told is JobState.EXPIRED


def test_t13_a_cancelled_job_succeeds_whatever_its_ranks_end_with() -> None:
    _, updates = cleaned_up(after(running(rules=Rules(exit_code_policy="strict")), CANCEL, ReplicaLost(1, 0)))
    assert [(update.state, update.allow_restart) for update in updates] == [(JobState.SUCCESS, False)]


def test_t14_a_machine_whose_node_is_lost_is_not_moved() -> None:
    """Moving is an option that does not exist yet; the default is off."""
    assert cleaned_up(after(running(spec(backend=VM)), ReplicaLost(1, 0)))[0].told is JobState.FAILURE
