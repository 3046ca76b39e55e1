"""Deadlines and extensions (section 7)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.unit.control.rig import PRODUCTS, Rig, job, ref
from ucloud_ray.control import timers
from ucloud_ray.control.errors import BadRequest, NotFound
from ucloud_ray.domain import texts
from ucloud_ray.domain.job import JobState
from ucloud_ray.settings import TimeSettings

HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0.01)


async def test_a_job_is_ended_at_its_deadline_with_a_grace(rig: Rig) -> None:
    """TIME-2, TIME-10."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", "goodbye=bye", time_allocation=50)])
    await rig.until_state("41", JobState.EXPIRED)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.EXPIRED]
    assert rig.told("41")[-1].status == texts.EXPIRED
    assert len(life.cluster.called("stop")) == 1
    await rig.until_nothing_is_left()


async def test_time_in_the_queue_does_not_count(rig: Rig) -> None:
    """TIME-3."""
    life = await rig.start(lambda cluster: setattr(cluster, "full", True))
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    rig.clock.shift += 2 * HOUR
    life.cluster.full = False
    await rig.until_state("41", JobState.RUNNING)
    await rig.quiet()
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]


async def test_an_extended_job_runs_on_past_its_first_deadline(rig: Rig) -> None:
    """TIME-5, TIME-6, TIME-8: two in one request add up."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.extend([(ref("41"), HOUR), (ref("41"), HOUR)])
    await rig.until(lambda: rig.told("41")[-1].new_time_allocation == 3 * HOUR, "the new time to be told")
    assert rig.told("41")[-1].status == texts.extended(HOUR)
    rig.clock.shift += 2 * HOUR
    life.supervisor.timers.fire()
    await rig.quiet()
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]
    rig.clock.shift += HOUR
    await rig.until_state("41", JobState.EXPIRED)


async def test_an_extension_survives_a_restart(rig: Rig) -> None:
    """TIME-5: ours, never read back from the Core."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.extend([(ref("41"), HOUR)])
    await rig.crash()
    rig.clock.shift += HOUR
    life = await rig.start()
    await rig.quiet()
    found = life.supervisor.engine.newest(ref("41").id)
    assert found is not None
    assert found.times.allocation == 2 * HOUR
    assert found.phase.kind == "running"


async def test_a_job_that_is_over_or_unknown_cannot_be_extended(rig: Rig) -> None:
    """TIME-7. A job that is over has said its last word (LC-1, decision 0004)."""
    life = await rig.start()
    await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    told = rig.told("41")
    with pytest.raises(BadRequest, match="has ended"):
        await life.requests.extend([(ref("41"), HOUR)])
    await rig.quiet()
    assert rig.told("41") == told
    assert await rig.store.pending_updates() == []
    with pytest.raises(NotFound):
        await life.requests.extend([(ref("42"), HOUR)])


async def test_the_first_failure_of_several_extensions_stops_and_earlier_ones_stay(rig: Rig) -> None:
    """TIME-8."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    with pytest.raises(BadRequest):
        await life.requests.extend([(ref("41"), HOUR), (ref("41"), -1), (ref("41"), HOUR)])
    found = life.supervisor.engine.newest(ref("41").id)
    assert found is not None
    assert found.times.allocation == 2 * HOUR


async def test_an_answer_to_an_extension_means_that_it_is_on_disk(rig: Rig) -> None:
    """TIME-8: also while the Core hears nothing."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=5 * HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    found = life.supervisor.engine.newest(ref("41").id)
    assert found is not None
    await rig.updates.told(found.uid)
    rig.updates.down = True
    await life.requests.extend([(ref("41"), HOUR)])
    [waiting] = await rig.store.pending_updates()
    assert waiting.update.new_time_allocation == 21_600_000


async def test_a_machine_type_with_a_longest_time(rig: Rig) -> None:
    """TIME-9."""
    rig.products = tuple(replace(one, max_time_allocation=TimeSettings(hours=2)) for one in PRODUCTS)
    life = await rig.start()
    for too_long in (None, 2 * HOUR + 1):
        with pytest.raises(BadRequest, match="at most 2 hours"):
            await life.requests.submit([job("41", "run=forever", time_allocation=too_long)])
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await life.requests.extend([(ref("41"), HOUR)])
    with pytest.raises(BadRequest, match="at most 2 hours"):
        await life.requests.extend([(ref("41"), 1)])
    found = life.supervisor.engine.newest(ref("41").id)
    assert found is not None
    assert found.times.allocation == 2 * HOUR


async def test_a_job_of_a_machine_type_without_extensions_keeps_its_time(rig: Rig) -> None:
    """TIME-7."""
    rig.products = tuple(replace(one, backends={"docker": {"timeExtension": False}}) for one in PRODUCTS)
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    with pytest.raises(BadRequest, match="cannot be extended"):
        await life.requests.extend([(ref("41"), HOUR)])


async def test_whichever_of_cancel_and_deadline_was_written_first_is_told(rig: Rig) -> None:
    """TIME-12."""
    life = await rig.start(lambda cluster: cluster.hold("stop"))
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    rig.clock.shift += HOUR
    await rig.until(lambda: life.cluster.called("stop"), "the stop at the deadline")
    await asyncio.wait_for(life.requests.terminate([ref("41")]), 5)
    life.cluster.let_go("stop")
    await rig.until_state("41", JobState.EXPIRED)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.EXPIRED]


async def test_jobs_are_compared_with_what_the_core_believes(rig: Rig) -> None:
    """REC-12, REC-13."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    told = len(rig.told("41"))
    await life.requests.verify([(ref("41"), JobState.RUNNING)])
    await rig.quiet()
    assert len(rig.told("41")) == told
    await life.requests.verify([(ref("41"), JobState.IN_QUEUE), (ref("42"), JobState.RUNNING)])
    await rig.until(lambda: len(rig.told("41")) == told + 1 and rig.told("42"), "both corrections")
    assert (rig.told("41")[-1].state, rig.told("41")[-1].expected_different_state) == (JobState.RUNNING, True)
    [unknown] = rig.told("42")
    assert (unknown.state, unknown.status) == (JobState.FAILURE, texts.UNKNOWN_JOB)


async def test_an_extension_that_comes_with_the_deadline_is_refused_and_not_lost_unseen(rig: Rig) -> None:
    """TIME-7, TIME-12: what was decided first counts, and who asked hears of it. REC-5: deadlines before answers."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    rig.clock.shift += 2 * HOUR
    life = await rig.start()
    with pytest.raises(BadRequest, match="about to end and cannot be extended"):
        await life.requests.extend([(ref("41"), 4 * HOUR)])
    await rig.until_state("41", JobState.EXPIRED)
    assert [update.new_time_allocation for update in rig.told("41") if update.new_time_allocation] == []
