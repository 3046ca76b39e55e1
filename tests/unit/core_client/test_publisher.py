"""Delivery while all is well, and when Core, store or we ourselves fail for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_core import FakeCore, Fault
from tests.support.wait import async_wait_until
from tests.unit.core_client.rig import QUEUED, QUICK, RUNNING, SUCCESS, Rig, job_of, rig_of, text
from ucloud_ray.control.ports import Change
from ucloud_ray.core_client.timing import Timing
from ucloud_ray.domain.ids import JobId, JobUid


async def test_an_update_is_sent_and_leaves_the_disk(rig: Rig) -> None:
    job = job_of("1")
    await rig.announce(job, RUNNING)
    await rig.publisher.told(job.uid)
    assert rig.core.jobs["1"].states == ["RUNNING"]
    await rig.all_told()
    assert rig.core.requests == [
        [{"id": "1", "update": rig.core.requests[0][0]["update"]}],
    ]
    assert rig.unknown == []


async def test_updates_of_a_job_go_one_by_one_in_order(rig: Rig) -> None:
    """LC-20, W13."""
    await rig.announce(job_of("1"), QUEUED, text("a"), text("b"), RUNNING, SUCCESS)
    await rig.all_told()
    job = rig.core.jobs["1"]
    assert job.texts == ["queued", "a", "b", "running", "success"]
    assert [update["request"] for update in job.updates] == [1, 2, 3, 4, 5]


async def test_updates_of_different_jobs_share_a_request_up_to_the_limit(core: FakeCore, tmp_path: Path) -> None:
    names = [f"j{n}" for n in range(25)]
    core.add(*names)
    async with rig_of(core, tmp_path, Timing(batch=10)) as rig:
        rows = await rig.store.commit([Change(job_of(name), (RUNNING,)) for name in names])
        rig.publisher.submit(rows)
        await rig.all_told()
    assert sorted(len(request) for request in core.requests) == [5, 10, 10]


async def test_what_comes_while_a_request_is_under_way_gathers_for_the_next(rig: Rig) -> None:
    """A slow request holds up only its own jobs, and never two requests speak of one job."""
    gate = asyncio.Event()
    rig.core.on_request = gate.wait
    first, others = job_of("1"), [job_of("2"), job_of("3")]
    await rig.announce(first, QUEUED)
    await _requests(rig, 1)
    await rig.announce(first, RUNNING)
    for job in others:
        await rig.announce(job, QUEUED)
    await _requests(rig, 2)
    assert [item["id"] for item in rig.core.requests[1]] == ["2", "3"]
    for job in others:
        await rig.announce(job, RUNNING)
    gate.set()
    await rig.all_told()
    assert rig.core.most_at_once == 2
    assert all(job.states == ["IN_QUEUE", "RUNNING"] for job in rig.core.jobs.values())


async def test_told_returns_at_once_for_a_job_of_which_nothing_waits(rig: Rig) -> None:
    await rig.publisher.told(JobUid("nobody"))
    assert not rig.publisher.waits(JobUid("nobody"))


async def test_told_waits_for_the_last_update(rig: Rig) -> None:
    """LOG-13."""
    rig.core.poison["1"] = 503
    job = job_of("1")
    await rig.announce(job, RUNNING, SUCCESS)
    told = asyncio.create_task(rig.publisher.told(job.uid))
    await _requests(rig, 3)
    assert not told.done()
    assert rig.publisher.waits(job.uid)
    assert rig.publisher.backlog()[0] == 2
    rig.core.poison.clear()
    await told
    assert rig.core.jobs["1"].states == ["RUNNING", "SUCCESS"]
    assert rig.publisher.backlog() == (0, None)


async def test_a_core_that_is_away_gets_everything_in_order_when_it_is_back(tmp_path: Path) -> None:
    """REC-7."""
    core = FakeCore("1", "2")
    async with core.running():
        pass
    async with rig_of(core, tmp_path) as rig:
        await rig.announce(job_of("1"), QUEUED, RUNNING, SUCCESS)
        await rig.announce(job_of("2"), QUEUED)
        assert rig.publisher.backlog()[0] == 4
        async with core.running():
            await rig.all_told()
    assert core.jobs["1"].states == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert core.jobs["2"].states == ["IN_QUEUE"]
    assert rig.unknown == []


@pytest.mark.parametrize("fault", [500, 503, 449, 429, Fault.NOT_JSON, Fault.LOST_REPLY])
async def test_no_transition_is_recorded_twice_after_a_fault(rig: Rig, fault: Fault | int) -> None:
    """LC-21: also when the Core had applied what it did not confirm."""
    rig.core.faults.append(fault)
    await rig.announce(job_of("1"), RUNNING, SUCCESS)
    await rig.all_told()
    assert rig.core.jobs["1"].states == ["RUNNING", "SUCCESS"]


@pytest.mark.parametrize("fault", [500, Fault.NOT_JSON, Fault.LOST_REPLY])
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_no_text_is_told_twice_after_a_fault(rig: Rig, fault: Fault | int, number: int) -> None:
    """The first IN_QUEUE and updates without a state: the Core is asked what it has, nothing is sent as news only."""
    await rig.announce(job_of("2"), QUEUED)
    await rig.all_told()
    rig.core.on_request = _nth(rig, number, fault)
    await rig.announce(job_of("1"), QUEUED, text("a"), text("b"), RUNNING)
    await rig.all_told()
    assert rig.core.jobs["1"].texts == ["queued", "a", "b", "running"]
    assert rig.core.jobs["2"].texts == ["queued"]


@pytest.mark.parametrize("fault", [500, Fault.NOT_JSON, Fault.LOST_REPLY])
async def test_no_text_of_a_shared_request_is_told_twice(core: FakeCore, tmp_path: Path, fault: Fault | int) -> None:
    """Before its updates go one by one."""
    core.faults.append(fault)
    async with rig_of(core, tmp_path) as rig:
        changes = [Change(job_of(name), (QUEUED, text("a"))) for name in ("1", "2")]
        rig.publisher.submit(await rig.store.commit(changes))
        await rig.all_told()
    assert [core.jobs[name].texts for name in ("1", "2")] == [["queued", "a"]] * 2


async def test_a_text_is_sent_again_when_a_core_never_tells_what_it_has(core: FakeCore, tmp_path: Path) -> None:
    core.last_page = 0
    async with rig_of(core, tmp_path, replace(QUICK, questions=2)) as rig:
        core.faults.append(Fault.LOST_REPLY)
        await rig.announce(job_of("1"), text("a"), text("b"))
        await rig.all_told()
    assert core.jobs["1"].texts == ["a", "a", "b"]


async def test_a_crash_between_acceptance_and_acknowledgement_repeats_no_text(rig: Rig) -> None:
    rig.store.fail("acknowledge")
    await rig.announce(job_of("1"), QUEUED, text("a"))
    await async_wait_until(lambda: _at_least(len(rig.core.jobs["1"].texts), 1), "the Core to have the first")
    await rig.stop()
    rig.store.mend()
    await rig.restart()
    await rig.all_told()
    assert rig.core.jobs["1"].texts == ["queued", "a"]


async def test_a_refresh_token_that_is_refused_for_a_while_loses_nothing(rig: Rig) -> None:
    """REC-9."""
    rig.core.refuse_refresh = 403
    await rig.announce(job_of("1"), RUNNING)
    await async_wait_until(lambda: _at_least(rig.core.refreshes, 3), "three attempts")
    assert rig.core.requests == []
    rig.core.refuse_refresh = None
    await rig.all_told()
    assert rig.core.jobs["1"].states == ["RUNNING"]


async def test_what_waited_on_disk_is_sent_after_a_start(core: FakeCore, tmp_path: Path) -> None:
    """D10."""
    async with rig_of(core, tmp_path, started=False) as rig:
        job = job_of("1")
        await rig.store.commit([Change(job, (RUNNING, SUCCESS))])
        rig.start()
        await rig.publisher.told(job.uid)
    assert core.jobs["1"].states == ["RUNNING", "SUCCESS"]


async def test_rows_that_come_before_the_outbox_is_read_go_after_the_older_ones(core: FakeCore, tmp_path: Path) -> None:
    async with rig_of(core, tmp_path, started=False) as rig:
        job = job_of("1")
        await rig.store.commit([Change(job, (text("old"),))])
        await rig.announce(job, text("new"))
        assert rig.publisher.waits(job.uid)
        rig.start()
        await rig.all_told()
    assert core.jobs["1"].texts == ["old", "new"]


async def test_a_crash_between_acceptance_and_acknowledgement_repeats_no_transition(rig: Rig) -> None:
    rig.store.fail("acknowledge")
    job = job_of("1")
    await rig.announce(job, RUNNING, SUCCESS)
    await async_wait_until(lambda: _at_least(len(rig.core.jobs["1"].states), 1), "the Core to have RUNNING")
    await rig.stop()
    rig.store.mend()
    await rig.restart()
    await rig.all_told()
    assert rig.core.jobs["1"].states == ["RUNNING", "SUCCESS"]
    assert len(rig.core.requests) == 3


async def test_the_next_update_waits_until_the_last_one_left_the_disk(rig: Rig) -> None:
    """Else a crash could repeat an older state after a newer one."""
    rig.store.fail("acknowledge", times=3)
    await rig.announce(job_of("1"), RUNNING, SUCCESS)
    await rig.all_told()
    assert rig.core.jobs["1"].states == ["RUNNING", "SUCCESS"]
    assert len(rig.core.requests) == 2


async def test_an_outbox_that_cannot_be_read_at_first_is_read_later(core: FakeCore, tmp_path: Path) -> None:
    async with rig_of(core, tmp_path, started=False) as rig:
        await rig.store.commit([Change(job_of("1"), (RUNNING,))])
        rig.store.fail("pending_updates", times=2)
        rig.start()
        await async_wait_until(lambda: _at_least(len(core.jobs["1"].states), 1), "the update")


async def test_what_waits_for_a_job_that_lost_its_id_is_dropped(core: FakeCore, tmp_path: Path) -> None:
    """O3."""
    async with rig_of(core, tmp_path, QUICK, started=False) as rig:
        old, new = job_of("1"), job_of("1")
        await rig.announce(old, RUNNING, SUCCESS)
        await rig.store.enqueue(JobId("1"), SUCCESS, rig.clock.now())
        await rig.announce(new, QUEUED)
        rig.start()
        await rig.publisher.told(old.uid)
        await rig.all_told()
    assert core.jobs["1"].states == ["IN_QUEUE"]


def _nth(rig: Rig, number: int, fault: Fault | int) -> Callable[[], Awaitable[None]]:
    """The request after so many more is answered by this fault."""
    first = len(rig.core.requests)

    async def on_request() -> None:
        if len(rig.core.requests) == first + number + 1:
            rig.core.faults.append(fault)

    return on_request


async def _requests(rig: Rig, number: int) -> None:
    await async_wait_until(lambda: _at_least(len(rig.core.requests), number), f"{number} requests")


async def _at_least(seen: int, number: int) -> bool:
    return seen >= number
