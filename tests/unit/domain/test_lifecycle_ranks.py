"""Several ranks, further attempts, and events that come late or twice (1.3, 1.9, section 11)."""

from __future__ import annotations

import pytest

from tests.unit.domain.builders import (
    HANDLE,
    HOUR,
    NOW,
    OK,
    after,
    announced,
    cleaned_up,
    ended,
    lingering,
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
    FolderReady,
    NoRoom,
    PlacementGranted,
    ReplicaEnded,
    ReplicaLost,
    ReplicaStarted,
    ReplicaStartFailed,
    Restarted,
    StopCause,
    StopRequested,
    SuspendRequested,
    Tick,
    TimeExtended,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import (
    Cleaning,
    Ending,
    Exit,
    Final,
    JobState,
    Lingering,
    Queued,
    Rules,
    Running,
    Starting,
)
from ucloud_ray.domain.lifecycle import decide, outstanding, wakes_at

CANCEL = StopRequested(StopCause.CANCELLED)
WAITING = "Your job is now waiting in the queue!"


def test_lc3_a_job_of_which_a_rank_ended_before_the_last_started_shows_running_first() -> None:
    job = after(starting(spec(2)), ReplicaStarted(1, 0, HANDLE), ReplicaEnded(1, 0, OK))
    assert isinstance(job.phase, Starting)
    job, effects = decide(job, ReplicaStarted(1, 1, HANDLE), NOW)
    assert [state for state, _ in states(effects)] == [JobState.RUNNING]
    assert job.phase == Lingering(job.ranks, until=Millis(NOW + 5_000))


def test_lc3_an_end_that_is_heard_before_its_start_counts_as_a_start() -> None:
    job, effects = decide(starting(), ReplicaEnded(1, 0, OK), NOW)
    assert [state for state, _ in states(effects)] == [JobState.RUNNING]
    assert CleanUp(1, ("node-0",)) in effects
    assert after(job, ReplicaStarted(1, 0, HANDLE)) is job


def test_lc7_the_first_end_gives_the_others_some_time() -> None:
    job, effects = decide(running(spec(2)), ReplicaEnded(1, 1, OK), NOW)
    assert effects == ()
    assert wakes_at(job) == NOW + 5_000
    assert after(job, Tick(), at=NOW + 4_999) is job
    job, effects = decide(job, Tick(), Millis(NOW + 5_000))
    assert effects == (StopReplica(1, 0, "node-0", HANDLE, 10_000),)
    job, updates = cleaned_up(job)
    assert [update.status for update in updates] == ["The job has finished processing!"]


def test_lc7_all_ranks_that_end_within_the_linger_are_judged_together() -> None:
    """LC-6: the worst counts."""
    job = lingering(rules=Rules(exit_code_policy="strict"))
    job, effects = decide(job, ReplicaEnded(1, 1, Exit(code=3)), NOW)
    assert effects == (CleanUp(1, ("node-0", "node-1")),)
    assert cleaned_up(job)[0].told is JobState.FAILURE


def test_lc7_with_the_policy_all_every_rank_is_waited_for() -> None:
    job = lingering(spec(2), Rules(replica_end_policy="all"))
    assert isinstance(job.phase, Running)
    assert wakes_at(job) is None
    assert isinstance(after(job, ReplicaEnded(1, 1, OK)).phase, Cleaning)


def test_a_machine_lost_within_the_linger_fails_the_job() -> None:
    job = after(lingering(spec(3)), ReplicaLost(1, 1))
    assert isinstance(job.phase, Ending)
    assert cleaned_up(job)[0].told is JobState.FAILURE


def test_time10_a_rank_that_ended_before_the_deadline_keeps_its_own_end() -> None:
    job = lingering(spec(2, time_allocation=1_000), Rules(exit_code_policy="strict"))
    assert wakes_at(job) == NOW + 1_000
    assert cleaned_up(after(job, Tick(), at=NOW + 1_000))[0].told is JobState.EXPIRED
    failed = after(
        running(spec(2, time_allocation=1_000), Rules(exit_code_policy="strict")), ReplicaEnded(1, 0, Exit(code=1))
    )
    assert cleaned_up(after(failed, Tick(), at=NOW + 1_000))[0].told is JobState.FAILURE


def test_time10_an_end_that_came_before_the_deadline_was_looked_at_wins() -> None:
    job = after(running(spec(time_allocation=1_000)), ReplicaEnded(1, 0, OK), at=NOW + 2_000)
    assert after(job, Tick(), at=NOW + 3_000) is job
    assert cleaned_up(job)[0].told is JobState.SUCCESS


# ------------------------------------------------------------------------------------------------ starting again


def test_sch11_a_start_that_failed_for_a_passing_reason_is_tried_again_in_the_queue() -> None:
    job, effects = decide(starting(), ReplicaStartFailed(1, 0, "busy", retryable=True), NOW)
    assert effects == (CleanUp(1, ("node-0",)),)
    job, effects = decide(job, CleanedUp(1), NOW)
    said = Announce(status="Your job could not be started yet: busy. It will be tried again", passing=True)
    assert effects == (said, RequestPlacement(2))
    assert (job.told, job.failed_starts, job.failed_hosts) == (JobState.IN_QUEUE, 1, ("node-0",))
    job = start_all(place(job))
    assert (job.failed_starts, job.failed_hosts) == (0, ())


def test_sch11_the_pause_before_the_next_attempt_doubles_and_is_bounded() -> None:
    job = queued(rules=Rules(max_start_attempts=100, start_pause=2_000))
    pauses = []
    for number in range(1, 9):
        job = after(place(job), ReplicaStartFailed(number, 0, "busy", retryable=True), CleanedUp(number))
        assert isinstance(job.phase, Queued)
        pauses.append((job.phase.not_before or 0) - NOW)
    assert pauses == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]


def test_sch21_the_devices_of_each_rank_are_recorded_with_the_grant() -> None:
    """Before anything starts: whoever dies afterwards, the record says whose they are."""
    job, _ = decide(queued(spec(2)), PlacementGranted(1, ("node-0", "node-0"), gpus=(("0", "2"), ("1", "3"))), NOW)
    assert [rank.gpus for rank in job.ranks] == [("0", "2"), ("1", "3")]
    assert [rank.gpus for rank in start_all(job).ranks] == [("0", "2"), ("1", "3")]


def test_sch11_the_last_attempt_fails_the_job() -> None:
    job = queued(rules=Rules(max_start_attempts=2))
    for number in (1, 2):
        job = after(place(job), ReplicaStartFailed(number, 0, "busy", retryable=True), CleanedUp(number))
    assert isinstance(job.phase, Final)
    assert job.phase.verdict.status == "Your job could not be started: busy"


def test_a_user_may_cancel_between_two_attempts() -> None:
    job = after(starting(), ReplicaStartFailed(1, 0, "busy", retryable=True), CANCEL)
    assert job.told is JobState.CANCELING
    assert cleaned_up(job)[0].told is JobState.SUCCESS


def test_sch13_that_no_machine_is_free_is_said_once_per_stay_in_the_queue() -> None:
    job, effects = decide(queued(), NoRoom(), NOW)
    assert [update.state for update in announced(effects)] == [None]
    assert len(effects) == 1
    assert after(job, NoRoom()) is job
    assert after(starting(), NoRoom()).phase == starting().phase


def test_lc26_a_restartable_job_begins_a_new_life_when_the_core_orders_it() -> None:
    restartable = ended(spec(restart_on_exit=True, time_allocation=HOUR))
    for order in (Restarted(), UnsuspendRequested()):  # SUS-8
        job, effects = decide(restartable, order, Millis(NOW + 10))
        assert effects == (Announce(state=JobState.IN_QUEUE, status=WAITING), RequestPlacement(2))
        assert (job.times.first_running, job.times.allocation, job.times.ran) == (None, HOUR, 0)
        assert start_all(place(job)).told is JobState.RUNNING


def test_lc26_the_time_that_was_added_to_one_life_is_there_in_the_next() -> None:
    """LC-23: the Core goes on to show the end by it."""
    job = after(running(spec(restart_on_exit=True, time_allocation=HOUR)), TimeExtended(HOUR))
    job = after(cleaned_up(after(job, ReplicaEnded(1, 0, OK)))[0], Restarted())
    assert wakes_at(start_all(place(job))) == NOW + 2 * HOUR


def test_lc27_no_other_job_is_restarted() -> None:
    cancelled, _ = cleaned_up(after(running(spec(restart_on_exit=True)), CANCEL))
    for job in (ended(), cancelled, running(spec(restart_on_exit=True)), queued()):
        assert after(job, Restarted()) is job


def test_a_repeated_report_changes_nothing() -> None:
    job = lingering(spec(2))
    for event in (ReplicaStarted(1, 0, HANDLE), ReplicaEnded(1, 0, Exit(code=9)), ReplicaLost(1, 0)):
        assert after(job, event) is job


def test_a_late_report_of_an_older_attempt_changes_nothing() -> None:
    job = place(after(starting(), ReplicaStartFailed(1, 0, "busy", retryable=True), CleanedUp(1)))
    assert job.incarnation == 2
    for event in (ReplicaStarted(1, 0, HANDLE), ReplicaEnded(1, 0, OK), ReplicaLost(1, 0), CleanedUp(1)):
        assert after(job, event) is job
    assert after(queued(), PlacementGranted(2, ("a",))) == queued()


def test_a_final_job_ignores_every_event_but_a_restart() -> None:
    """LC-1."""
    job = ended()
    everything = (
        *(PlacementGranted(number, ("a",)) for number in (1, 2)),
        *(ReplicaStarted(1, 0, HANDLE), ReplicaEnded(1, 0, OK), ReplicaLost(1, 0), CleanedUp(1), FolderReady("/1/x")),
        *(StopRequested(cause) for cause in StopCause),
        *(SuspendRequested(), UnsuspendRequested(), Restarted(), TimeExtended(HOUR), NoRoom(), Tick()),
    )
    for event in everything:
        assert after(job, event, at=NOW + 9 * HOUR) is job


def test_a_grant_that_does_not_name_a_machine_for_every_rank_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 replicas but was granted 1 machines"):
        decide(queued(spec(2)), PlacementGranted(1, ("a",)), NOW)


def test_what_is_outstanding_after_a_crash_is_what_the_phase_needs() -> None:
    """REC-2, REC-3, REC-19. Announcements are on disk and never repeated from here."""
    half_started = after(starting(spec(2)), ReplicaStarted(1, 0, HANDLE))
    watch, start = WatchReplica(1, 0, "node-0", HANDLE), StartReplica(1, 1, "node-1")
    assert outstanding(queued()) == (RequestPlacement(1),)
    assert outstanding(half_started) == (start, watch)
    assert outstanding(running()) == (watch,)
    assert outstanding(lingering(spec(2))) == (WatchReplica(1, 1, "node-1", HANDLE),)
    assert outstanding(after(running(), CANCEL)) == (StopReplica(1, 0, "node-0", HANDLE, 10_000), watch)
    assert outstanding(after(running(), ReplicaEnded(1, 0, OK))) == (CleanUp(1, ("node-0",)),)
    assert outstanding(ended()) == outstanding(suspended()) == ()
