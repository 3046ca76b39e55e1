"""What a job owes (section 9): by hand for the documents' examples, by property for everything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.builders import HANDLE, NOW, OK, after, cleaned_up, queued, running, spec, start_all, starting
from ucloud_ray.domain import charging
from ucloud_ray.domain.effects import Charge, Effect
from ucloud_ray.domain.events import (
    ChargeDue,
    CleanedUp,
    Event,
    PlacementGranted,
    ReplicaEnded,
    ReplicaStarted,
    Restarted,
    StopCause,
    StopRequested,
    SuspendRequested,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import AccountingStyle, Backend, Exit, Job, JobSpec, Rules, Tariff
from ucloud_ray.domain.lifecycle import decide

MINUTE = 60_000
BY_MINUTE = Tariff(unit=MINUTE)
REPORTS = Rules(accounting_style="reportUsage")


def paid(tariff: Tariff | None = BY_MINUTE, replicas: int = 1, **more: object) -> JobSpec:
    base = spec(replicas, **more)
    return replace(base, machine=replace(base.machine, tariff=tariff))


def turn(job: Job, event: Event, at: int) -> tuple[Job, list[Charge]]:
    job, effects = decide(job, event, Millis(NOW + at))
    return job, charges(effects)


def charges(effects: tuple[Effect, ...]) -> list[Charge]:
    return [effect for effect in effects if isinstance(effect, Charge)]


def end(job: Job, at: int) -> tuple[Job, list[Charge]]:
    """All ranks end at that moment."""
    found: list[Charge] = []
    for rank in job.ranks:
        job, more = turn(job, ReplicaEnded(job.incarnation, rank.rank, OK), at)
        found += more
    job, more = turn(job, CleanedUp(job.incarnation), at + 5_000)
    return job, found + more


def test_fifteen_minutes_of_23_replicas_are_15_units_in_23_periods() -> None:
    """ACC-4 to ACC-7, the mission document's example; conformance point 13."""
    job = running(paid(replicas=23))
    job, due = turn(job, ChargeDue(), 15 * MINUTE + 59_999)
    assert due == [Charge(f"41-charge-{NOW}", "documented", units=15, periods=23)]
    job, due = turn(job, ChargeDue(), 16 * MINUTE)
    assert due == [Charge(f"41-charge-{NOW + 15 * MINUTE}", "documented", units=1, periods=23)]


def test_less_than_a_unit_is_carried() -> None:
    """ACC-6."""
    job, due = turn(running(paid()), ChargeDue(), MINUTE - 1)
    assert due == []
    assert not charging.due(job, Millis(NOW + MINUTE - 1))
    assert charging.due(job, Millis(NOW + MINUTE))


def test_a_job_whose_end_is_noticed_together_with_its_start_has_begun_a_unit() -> None:
    """ACC-6: as one whose end is noticed a moment later; the program ran."""
    _, due = end(running(paid(replicas=2)), 0)
    assert due == [Charge(f"41-charge-{NOW}", "documented", units=1, periods=2)]


@pytest.mark.parametrize(
    ("fraction", "ran", "units"), [(0.0, 1, 1), (0.5, 29_999, 0), (0.5, 30_000, 1), (1.0, 59_999, 0)]
)
def test_the_rest_is_charged_at_the_end_if_it_is_enough_of_a_unit(fraction: float, ran: int, units: int) -> None:
    """ACC-2, ACC-6. What the clean-up takes is not the user's time (ACC-1)."""
    job, due = end(running(paid(), Rules(min_final_unit_fraction=fraction)), ran)
    assert job.final
    assert [charge.units for charge in due] == [units][: units > 0]


def test_nothing_is_charged_for_the_queue_the_start_and_after_the_end() -> None:
    """ACC-1, ACC-17."""
    for waiting in (queued(paid()), starting(paid())):
        assert turn(waiting, ChargeDue(), 10 * MINUTE)[1] == []
    late = starting(paid())
    late, _ = turn(late, ReplicaStarted(late.incarnation, 0, HANDLE), 10 * MINUTE)
    late, due = end(late, 10 * MINUTE + 1)
    assert [charge.units for charge in due] == [1]
    assert turn(late, ChargeDue(), 20 * MINUTE) == (late, [])


def test_a_job_that_never_ran_costs_nothing() -> None:
    job = after(queued(paid()), StopRequested(StopCause.CANCELLED))
    assert turn(job, CleanedUp(job.incarnation), MINUTE)[1] == []


def test_free_products_and_jobs_that_the_core_forgot_cost_nothing() -> None:
    """ACC-10, O3."""
    assert end(running(paid(tariff=None)), 90_000)[1] == []
    assert end(running(paid(), Rules(accounting_style="none")), 90_000)[1] == []
    forgotten = after(running(paid()), StopRequested(StopCause.FORGOTTEN))
    forgotten, due = turn(forgotten, ChargeDue(), 90_000)
    assert due == []
    assert end(forgotten, 90_000)[1] == []


@pytest.mark.parametrize("style", ["documented", "legacyCore"])
def test_what_is_paid_once_is_charged_once_for_all_lives(style: AccountingStyle) -> None:
    """ACC-4: `PER_UNIT`; LC-26."""
    job = running(paid(Tariff(unit=None), restart_on_exit=True), Rules(accounting_style=style))
    job, due = turn(job, ChargeDue(), 1)
    assert due == [Charge(f"41-charge-{NOW}", style, units=1, periods=1)]
    job, due = end(job, MINUTE)
    assert due == []
    again = start_all(after(after(job, Restarted()), PlacementGranted(job.incarnation + 1, ("node-0",))))
    assert end(again, 2 * MINUTE)[1] == []


def test_the_older_core_takes_time_as_periods() -> None:
    """ACC-11."""
    _, due = end(running(paid(replicas=3), Rules(accounting_style="legacyCore")), 90_000)
    assert due == [Charge(f"41-charge-{NOW}", "legacyCore", units=1, periods=2)]


def test_usage_is_reported_as_a_whole_and_rounded_down() -> None:
    """ACC-13, ACC-14: two replicas of four cores for 90 s are 12 core-minutes; O6."""
    job = running(paid(Tariff(MINUTE, amount_milli=4_000), 2), REPORTS)
    job, due = turn(job, ChargeDue(), 90_000)
    assert due == [Charge("job-41", "reportUsage", units=12, periods=1)]
    job, due = turn(job, ChargeDue(), 90_001)
    assert due == []
    _, due = end(job, 2 * MINUTE + 1)
    assert due == [Charge("job-41", "reportUsage", units=16, periods=1)]


def next_life(job: Job, at: int) -> Job:
    """It is restarted, and runs from that moment on."""
    job, _ = turn(job, Restarted(), at)
    job, _ = turn(job, PlacementGranted(job.incarnation + 1, ("node-0",)), at)
    return turn(job, ReplicaStarted(job.incarnation, 0, HANDLE), at)[0]


def test_usage_of_all_lives_is_added() -> None:
    """LC-26, ACC-13: one scope for ever."""
    job, _ = end(running(paid(restart_on_exit=True), REPORTS), MINUTE)
    job, _ = end(next_life(job, 10 * MINUTE), 13 * MINUTE)
    _, due = turn(next_life(job, 20 * MINUTE), ChargeDue(), 22 * MINUTE)
    assert [charge.units for charge in due] == [1 + 3 + 2]


def test_every_life_is_charged_from_its_own_beginning() -> None:
    """LC-26, ACC-6, ACC-7: the minute that the first one began and did not use is nothing to the next."""
    job, first = end(running(paid(restart_on_exit=True)), 10_000)
    _, second = end(next_life(job, 30_000), 120_000)
    assert [(charge.charge_id, charge.units) for charge in (*first, *second)] == [
        (f"41-charge-{NOW}", 1),
        (f"41-charge-{NOW + 30_000}", 2),
    ]


def test_time_is_charged_until_the_real_end() -> None:
    """TIME-11: nobody looked for an hour."""
    job = running(paid())
    job, _ = turn(job, ReplicaEnded(job.incarnation, 0, Exit(code=0, at=Millis(NOW + 90_000))), 60 * MINUTE)
    _, due = turn(job, CleanedUp(job.incarnation), 61 * MINUTE)
    assert [charge.units for charge in due] == [2]


def test_the_last_rank_that_ends_is_the_real_end() -> None:
    """ACC-1: and as long as one's end is not known, it was just now."""
    job = running(paid(replicas=2))
    job, _ = turn(job, ReplicaEnded(job.incarnation, 0, Exit(code=0, at=Millis(NOW + 30_000))), 60 * MINUTE)
    for at, units in ((Millis(NOW + 90_000), 2), (None, 60)):
        over, _ = turn(job, ReplicaEnded(job.incarnation, 1, Exit(code=0, at=at)), 60 * MINUTE)
        _, [charge] = turn(over, CleanedUp(over.incarnation), 61 * MINUTE)
        assert (charge.units, charge.periods) == (units, 2)


@pytest.mark.parametrize("told", [NOW - 1, NOW + 60 * MINUTE + 1])
def test_an_end_that_cannot_be_true_is_not_believed(told: int) -> None:
    job = running(paid())
    job, _ = turn(job, ReplicaEnded(job.incarnation, 0, Exit(code=0, at=Millis(told))), 60 * MINUTE)
    _, due = turn(job, CleanedUp(job.incarnation), 61 * MINUTE)
    assert [charge.units for charge in due] == [60]


def test_suspended_time_is_free_and_the_rest_is_carried_over_it() -> None:
    """SUS-9."""
    job = running(paid(backend=Backend.VIRTUAL_MACHINE))
    job, due = turn(job, ChargeDue(), 90_000)
    assert [charge.units for charge in due] == [1]
    job = suspend(job, 90_000)
    assert turn(job, ChargeDue(), 10 * MINUTE)[1] == []
    job = resume(job, 10 * MINUTE)
    _, due = turn(job, ChargeDue(), 10 * MINUTE + 30_000)
    assert due == [Charge(f"41-charge-{NOW + 10 * MINUTE - 30_000}", "documented", units=1, periods=1)]


def suspend(job: Job, at: int) -> Job:
    job = after(job, SuspendRequested(), at=NOW + at)
    job = after(job, ReplicaEnded(job.incarnation, 0, Exit(signal=15)), at=NOW + at)
    return after(job, CleanedUp(job.incarnation), at=NOW + at)


def resume(job: Job, at: int) -> Job:
    job = after(job, UnsuspendRequested(), at=NOW + at)
    job = after(job, PlacementGranted(job.incarnation + 1, ("node-0",)), at=NOW + at)
    return after(job, ReplicaStarted(job.incarnation, 0, HANDLE), at=NOW + at)


@given(st.lists(st.tuples(st.sampled_from(["charge", "suspend", "resume"]), st.integers(0, 200_000)), max_size=30))
def test_charges_never_overlap_and_add_up_to_the_running_time(steps: list[tuple[str, int]]) -> None:
    """ACC-6, ACC-7: whatever happens in between, all names differ, and the units are the time, the last rounded up."""
    job, now, found = running(paid(backend=Backend.VIRTUAL_MACHINE)), 0, list[Charge]()
    for what, wait in steps:
        now += wait
        if what == "charge":
            job, more = turn(job, ChargeDue(), now)
            found += more
        elif what == "suspend" and job.phase.kind == "running":
            job = suspend(job, now)
        elif what == "resume" and job.phase.kind == "suspended":
            job = resume(job, now)
    ran = charging.running_time(job.times, Millis(NOW + now))
    job = after(job, StopRequested(StopCause.CANCELLED), at=NOW + now)
    if job.phase.kind == "ending":
        job = after(job, ReplicaEnded(job.incarnation, 0, Exit(signal=15)), at=NOW + now)
    job, last = turn(job, CleanedUp(job.incarnation), now)
    found += last
    assert sum(charge.units for charge in found) == max(1, -(-ran // MINUTE))
    starts = [int(charge.charge_id.rpartition("-")[2]) for charge in found]
    assert starts == sorted(set(starts))


def test_a_job_without_funds_ends_as_the_document_says() -> None:
    """ACC-16, conformance point 14."""
    _, told = cleaned_up(after(running(paid()), StopRequested(StopCause.NO_CREDITS)))
    assert [(update.state, update.status) for update in told] == [
        ("SUCCESS", "Your job has been terminated (No more credits)")
    ]
