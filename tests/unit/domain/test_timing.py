"""When a job's time is over, and who may have how much of it (section 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.domain.builders import (
    HANDLE,
    HOUR,
    NOW,
    after,
    announced,
    cleaned_up,
    ended,
    place,
    queued,
    running,
    spec,
    start_all,
    starting,
    suspended,
)
from ucloud_ray.domain import timing
from ucloud_ray.domain.events import (
    Event,
    ReplicaEnded,
    ReplicaStarted,
    StopCause,
    StopRequested,
    Tick,
    TimeExtended,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, Ending, Exit, Job, JobSpec, JobState, Rules, Suspended
from ucloud_ray.domain.lifecycle import decide, wakes_at
from ucloud_ray.domain.requests import refuse_allocation, refuse_extension

DAY = 24 * HOUR
VM = Backend.VIRTUAL_MACHINE


def test_time1_a_job_without_a_time_never_ends_by_itself() -> None:
    job = running()
    assert wakes_at(job) is None
    assert after(job, Tick(), at=NOW + 100 * 365 * DAY) is job


def test_time3_the_time_begins_with_the_first_running() -> None:
    job = place(queued(spec(time_allocation=HOUR)))
    assert timing.deadline(job) is None
    job = after(job, Tick(), ReplicaStarted(job.incarnation, 0, HANDLE), at=NOW + 2 * HOUR)
    assert timing.deadline(job) == wakes_at(job) == NOW + 3 * HOUR


def test_time4_the_time_of_a_suspended_machine_goes_on() -> None:
    job = suspended(time_allocation=HOUR)
    assert timing.deadline(job) == NOW + HOUR


def test_time4_a_machine_that_runs_again_is_held_to_its_first_running() -> None:
    job = place(after(suspended(time_allocation=HOUR), UnsuspendRequested()))
    job = after(job, ReplicaStarted(job.incarnation, 0, HANDLE), at=NOW + HOUR // 2)
    assert job.times.last_running == NOW + HOUR // 2
    assert timing.deadline(job) == NOW + HOUR


def test_time4_by_the_option_only_running_counts() -> None:
    job = suspended_where_time_stands_still()
    job = replace(job, times=replace(job.times, ran=HOUR // 4))
    assert timing.deadline(job) is None
    assert after(job, Tick(), at=NOW + 10 * HOUR) is job
    resumed = after(job, UnsuspendRequested(), at=NOW + 10 * HOUR)
    again = start_all(place(resumed))
    again = replace(again, times=replace(again.times, running_since=Millis(NOW + 10 * HOUR)))
    end = Millis(NOW + 10 * HOUR + HOUR * 3 // 4)
    assert wakes_at(again) == end
    assert after(again, Tick(), at=end - 1) is again
    assert isinstance(after(again, Tick(), at=end).phase, Ending)


def suspended_where_time_stands_still() -> Job:
    job = suspended(time_allocation=HOUR)
    return replace(job, rules=Rules(suspended_time_counts=False))


def test_time4_its_user_is_told_a_day_before() -> None:
    job = suspended(time_allocation=3 * DAY)
    assert wakes_at(job) == NOW + 2 * DAY
    assert after(job, Tick(), at=NOW + 2 * DAY - 1) is job
    warned, effects = decide(job, Tick(), Millis(NOW + 2 * DAY))
    [told] = announced(effects)
    assert told.status is not None
    assert "24 hours" in told.status
    assert told.status_only
    assert isinstance(warned.phase, Suspended)
    assert after(warned, Tick(), at=NOW + 2 * DAY + 1) is warned
    assert wakes_at(warned) == NOW + 3 * DAY


def test_time4_who_suspends_on_the_last_day_is_told_at_once_and_again_after_an_extension() -> None:
    job = after(suspended(time_allocation=HOUR), Tick())
    assert wakes_at(job) == NOW + HOUR
    extended = after(job, TimeExtended(3 * DAY))
    assert wakes_at(extended) == NOW + HOUR + 2 * DAY


@pytest.mark.parametrize("job", [queued, starting, running], ids=["queued", "starting", "running"])
def test_time7_time_can_be_added_before_and_while_it_runs(job: Callable[[JobSpec], Job]) -> None:
    made = job(spec(time_allocation=5 * HOUR))
    assert refuse_extension(made, HOUR) is None
    made, effects = decide(made, TimeExtended(HOUR), NOW)
    assert [update.new_time_allocation for update in announced(effects)] == [21_600_000]
    assert made.times.allocation == 21_600_000


def test_time7_what_cannot_be_extended() -> None:
    job = running(spec(time_allocation=HOUR))
    assert refuse_extension(job, 0)
    assert refuse_extension(job, -HOUR)
    cancelled = after(job, StopRequested(StopCause.CANCELLED))
    assert "about to end" in (refuse_extension(cancelled, HOUR) or "")
    assert "has ended" in (refuse_extension(ended(), HOUR) or "")
    assert after(cancelled, TimeExtended(HOUR)) is cancelled


def test_time9_no_extension_goes_above_the_longest_time_of_the_machine_type() -> None:
    job = running(spec(time_allocation=HOUR))
    assert refuse_extension(job, HOUR, longest=2 * HOUR) is None
    assert "at most 2 hours" in (refuse_extension(job, HOUR + 1, longest=2 * HOUR) or "")
    again = after(job, TimeExtended(HOUR))
    assert refuse_extension(again, 1, longest=2 * HOUR)
    assert refuse_extension(running(), HOUR, longest=HOUR) is None  # nothing to extend


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (spec(time_allocation=HOUR), False),
        (spec(time_allocation=HOUR + 1), True),
        (spec(), True),
        (spec(backend=VM), False),
    ],
    ids=["as long as that", "longer", "for ever", "a machine, which comes without a time"],
)
def test_time9_no_job_is_longer_than_its_machine_type_allows(asked: JobSpec, refused: bool) -> None:
    assert bool(refuse_allocation(asked, HOUR)) is refused
    assert refuse_allocation(asked, None) is None


def test_time10_a_natural_end_before_the_stop_is_no_expiry() -> None:
    job = after(running(spec(time_allocation=HOUR)), ReplicaEnded(1, 0, Exit(code=3)), Tick(), at=NOW + HOUR)
    _, [told] = cleaned_up(job)
    assert told.state is JobState.SUCCESS


def test_time10_an_end_after_the_stop_was_sent_is_the_expiry() -> None:
    job = after(running(spec(time_allocation=HOUR)), Tick(), ReplicaEnded(1, 0, Exit(code=0)), at=NOW + HOUR)
    _, [told] = cleaned_up(job)
    assert told.state is JobState.EXPIRED


@pytest.mark.parametrize(
    ("first", "second", "end"),
    [
        (Tick(), StopRequested(StopCause.CANCELLED), JobState.EXPIRED),
        (StopRequested(StopCause.CANCELLED), Tick(), JobState.SUCCESS),
    ],
    ids=["the deadline", "the cancellation"],
)
def test_time12_whichever_was_first_counts(first: Event, second: Event, end: JobState) -> None:
    job = after(running(spec(time_allocation=HOUR)), first, second, at=NOW + HOUR)
    assert cleaned_up(job)[1][-1].state is end


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (HOUR - timing.ACCURACY - 1, JobState.SUCCESS),
        (HOUR - timing.ACCURACY, JobState.EXPIRED),
        (HOUR + 100, JobState.EXPIRED),
        (-timing.ACCURACY - 1, JobState.EXPIRED),
        (None, JobState.EXPIRED),
    ],
    ids=["before", "almost before", "stopped", "before it ran", "unknown"],
)
def test_time10_who_was_over_before_the_deadline_has_not_expired(at: int | None, state: JobState) -> None:
    """Nobody looked until two hours later; machines' clocks are believed to two seconds."""
    job = after(running(spec(2, time_allocation=HOUR)), Tick(), at=NOW + 3 * HOUR)
    job = after(job, ReplicaEnded(1, 0, Exit(code=3, at=Millis(NOW + 1))), at=NOW + 3 * HOUR)
    end = Exit(code=0, at=None if at is None else Millis(NOW + at))
    job = after(job, ReplicaEnded(1, 1, end), at=NOW + 3 * HOUR)
    _, [told] = cleaned_up(job)
    assert told.state is state
    assert told.allow_restart is (state is JobState.SUCCESS)
