"""One bad update or one unknown job never holds up the others, and is not given up lightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_core import FakeCore, Fault
from tests.support.wait import async_wait_until
from tests.unit.core_client.rig import QUEUED, QUICK, RUNNING, SUCCESS, Rig, job_of, rig_of
from ucloud_ray.control.ports import Change
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import Job

FIVE_MINUTES = 300_000


async def test_what_the_core_refuses_is_dropped_and_blocks_nobody(rig: Rig) -> None:
    """REC-10."""
    rig.core.poison["2"] = 400
    jobs = await _announce_together(rig)
    await rig.all_told()
    assert rig.core.jobs["1"].states == rig.core.jobs["3"].states == ["IN_QUEUE"]
    assert rig.core.jobs["2"].states == []
    rig.core.poison.clear()
    await rig.announce(jobs[1], RUNNING)
    await rig.all_told()
    assert rig.core.jobs["2"].states == ["RUNNING"]
    assert rig.unknown == []


async def test_an_update_that_breaks_the_core_backs_off_alone(rig: Rig) -> None:
    """D10: one poisoned update never blocks other jobs."""
    rig.core.poison["2"] = 500
    jobs = await _announce_together(rig)
    for job in (jobs[0], jobs[2]):
        await rig.announce(job, RUNNING, SUCCESS)
        await rig.publisher.told(job.uid)
    assert rig.publisher.backlog()[0] == 1
    assert rig.core.jobs["2"].states == []
    rig.core.poison.clear()
    await rig.all_told()
    assert rig.core.jobs["2"].states == ["IN_QUEUE"]


async def test_an_update_that_hangs_the_core_backs_off_alone(rig: Rig) -> None:
    """D10."""
    rig.core.poison["2"] = Fault.HANG
    jobs = await _announce_together(rig)
    await rig.publisher.told(jobs[0].uid)
    await rig.publisher.told(jobs[2].uid)
    assert rig.core.jobs["2"].states == []
    rig.core.poison.clear()
    await rig.all_told()
    assert rig.core.jobs["2"].states == ["IN_QUEUE"]


async def test_many_updates_that_break_the_core_do_not_hold_up_a_good_one(rig: Rig) -> None:
    """D10."""
    bad = [f"bad{n}" for n in range(6)]
    rig.core.add(*bad)
    rig.core.poison.update(dict.fromkeys(bad, 500))
    rows = await rig.store.commit([Change(job_of(name), (QUEUED,)) for name in bad])
    rig.publisher.submit(rows)
    await _requests(rig, 12)
    good = job_of("1")
    await rig.announce(good, QUEUED, RUNNING, SUCCESS)
    await rig.publisher.told(good.uid)
    assert rig.publisher.backlog()[0] == 6
    rig.core.poison.clear()
    await rig.all_told()
    assert all(rig.core.jobs[name].states == ["IN_QUEUE"] for name in bad)


async def test_an_unknown_job_makes_the_others_go_again_one_by_one(rig: Rig) -> None:
    """LC-21."""
    del rig.core.jobs["2"]
    await _announce_together(rig, RUNNING)
    await async_wait_until(lambda: _states(rig.core, "1", "3"), "the known jobs")
    assert [len(request) for request in rig.core.requests[:4]] == [3, 1, 1, 1]
    again = [request[0]["update"]["expectedDifferentState"] for request in rig.core.requests[1:4]]
    assert again == [True, True, True]
    assert rig.unknown == []


async def test_a_job_that_the_core_learns_of_late_gets_its_updates_in_order(rig: Rig) -> None:
    """REC-11: our update overtook the Core's own `create`."""
    await rig.announce(job_of("late"), QUEUED, RUNNING)
    await _requests(rig, 3)
    rig.clock.millis = FIVE_MINUTES - 1
    await _requests(rig, len(rig.core.requests) + 2)
    assert rig.unknown == []
    rig.core.add("late")
    await rig.all_told()
    assert rig.core.jobs["late"].states == ["IN_QUEUE", "RUNNING"]
    assert rig.core.jobs["late"].texts == ["queued", "running"]


async def test_a_job_that_stays_unknown_for_five_minutes_is_given_up_and_reported_once(rig: Rig) -> None:
    """REC-9."""
    job, other = job_of("gone"), job_of("1")
    await rig.announce(job, QUEUED, RUNNING)
    await _requests(rig, 3)
    rig.clock.millis = FIVE_MINUTES
    await rig.publisher.told(job.uid)
    await rig.announce(job, SUCCESS)
    await rig.announce(other, SUCCESS)
    await rig.all_told()
    assert rig.unknown == [job.uid]
    assert rig.core.jobs["1"].states == ["SUCCESS"]


async def test_five_minutes_without_three_denials_do_not_count(rig: Rig) -> None:
    """REC-9: three consecutive confirmations."""
    rig.core.faults.extend([404, 503])
    await rig.announce(job_of("gone"), QUEUED)
    await _requests(rig, 1)
    rig.clock.millis = 10 * FIVE_MINUTES
    await async_wait_until(lambda: _true(bool(rig.unknown)), "the job to be given up")
    assert len([request for request in rig.core.requests if request[0]["id"] == "gone"]) >= 4


async def test_a_core_that_denies_and_lists_nothing_at_all_confirms_nothing(rig: Rig) -> None:
    """REC-9: no answer to the question is none of the three."""
    rig.core.last_page = rig.core.pages
    await rig.announce(job_of("gone"), QUEUED)
    await _requests(rig, 2)
    rig.clock.millis = 10 * FIVE_MINUTES
    await _requests(rig, len(rig.core.requests) + 4)
    assert rig.unknown == []
    rig.core.last_page = None
    await async_wait_until(lambda: _true(bool(rig.unknown)), "the job to be given up")


async def test_a_job_that_the_core_lists_is_never_given_up(rig: Rig) -> None:
    """A refusal of an update is no proof while the Core itself shows the job."""
    rig.core.poison["1"] = 404
    await rig.announce(job_of("1"), RUNNING)
    await _requests(rig, 4)
    rig.clock.millis = FIVE_MINUTES * 2
    await _requests(rig, len(rig.core.requests) + 4)
    assert rig.unknown == []
    rig.core.poison.clear()
    await rig.all_told()
    assert rig.core.jobs["1"].states == ["RUNNING"]


async def test_a_failure_for_a_job_that_nobody_knows_is_dropped_without_a_report(rig: Rig) -> None:
    """REC-12: it is not our job, so nothing of ours is to be stopped."""
    rig.publisher.submit([await rig.store.enqueue(JobId("77"), SUCCESS, rig.clock.now())])
    await _requests(rig, 1)
    rig.clock.millis = FIVE_MINUTES
    await rig.all_told()
    assert rig.unknown == []


@pytest.mark.parametrize("status", [500, 400, 404])
async def test_a_core_that_refuses_everything_for_a_while_loses_no_order(
    core: FakeCore, tmp_path: Path, status: int
) -> None:
    names = [f"j{n}" for n in range(12)]
    core.add(*names)
    core.faults.extend([500] * 9 if status == 500 else [status, 503, 503])
    async with rig_of(core, tmp_path, QUICK) as rig:
        rows = await rig.store.commit([Change(job_of(name), (QUEUED, RUNNING, SUCCESS)) for name in names])
        rig.publisher.submit(rows)
        await rig.all_told()
    assert all(_without_repeats(core.jobs[name].states) == ["IN_QUEUE", "RUNNING", "SUCCESS"] for name in names)


def _without_repeats(states: list[str]) -> list[str]:
    return [state for n, state in enumerate(states) if n == 0 or states[n - 1] != state]


async def _announce_together(rig: Rig, update: Announce = QUEUED) -> list[Job]:
    jobs = [job_of(name) for name in ("1", "2", "3")]
    rows = await rig.store.commit([Change(job, (update,)) for job in jobs])
    rig.publisher.submit(rows)
    return jobs


async def _requests(rig: Rig, requests: int) -> None:
    await async_wait_until(lambda: _true(len(rig.core.requests) >= requests), f"{requests} requests")


async def _states(core: FakeCore, *names: str) -> bool:
    return all(core.jobs[name].states for name in names)


async def _true(seen: bool) -> bool:
    return seen
