"""More than can be taken on is refused with nothing done, and what waits has an end (D10, REC-17, REC-22, O15)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.control.rig import Life, Rig, job, ref
from ucloud_ray.control.errors import Busy, NotReady, TooMany
from ucloud_ray.control.overload import Limits
from ucloud_ray.domain.events import ChargeDue, Event, StopCause, StopRequested, Tick
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import JobState


def crowd(life: Life) -> None:
    life.cluster.full = True


async def live_ids(rig: Rig) -> list[str]:
    return sorted(one.id for one in await rig.store.active_jobs())


async def test_a_provider_with_as_many_jobs_as_it_takes_refuses_more_and_stores_nothing(rig: Rig) -> None:
    rig.limits = Limits(live_jobs=2)
    life = await rig.start()
    crowd(life)
    await life.requests.submit([job("1", "run=forever")])
    with pytest.raises(TooMany, match="2 unfinished jobs"):
        await life.requests.submit([job("2", "run=forever"), job("3", "run=forever")])
    assert await live_ids(rig) == ["1"]
    await life.requests.submit([job("4", "run=forever")])
    with pytest.raises(TooMany):
        await life.requests.submit([job("5", "run=forever")])


async def test_a_job_that_is_here_is_none_too_many(rig: Rig) -> None:
    """11.4: whoever repeats a `create` gets the same answer, however full it has become."""
    rig.limits = Limits(live_jobs=1)
    life = await rig.start()
    crowd(life)
    first = await life.requests.submit([job("1", "run=forever")])
    assert await life.requests.submit([job("1", "run=forever")]) == first


async def test_room_that_jobs_give_back_is_taken_again(rig: Rig) -> None:
    rig.limits = Limits(live_jobs=1)
    life = await rig.start()
    await life.requests.submit([job("1", "run=5ms")])
    await rig.until_state("1", JobState.SUCCESS)
    await life.requests.submit([job("2", "run=5ms")])
    await rig.until_state("2", JobState.SUCCESS)


async def test_no_jobs_are_taken_while_too_many_updates_wait(rig: Rig) -> None:
    """Their number has an end, because each of them belongs to a job that was taken."""
    rig.limits = Limits(waiting_updates=3)
    rig.updates.down = True
    life = await rig.start()
    crowd(life)
    for number in range(2):
        await life.requests.submit([job(str(number), "run=forever")])
    await rig.until(lambda: rig.updates.backlog()[0] == 4, "both jobs to have two updates")
    with pytest.raises(TooMany, match="UCloud has heard"):
        await life.requests.submit([job("9", "run=forever")])
    rig.updates.come_up()
    await rig.until(lambda: rig.updates.backlog()[0] == 0, "the updates to be taken")
    await life.requests.submit([job("9", "run=forever")])
    assert await live_ids(rig) == ["0", "1", "9"]


async def test_jobs_that_wait_for_a_slow_disk_are_not_joined_by_any_number_of_others(rig: Rig) -> None:
    """Their callers have given up after five seconds, and come again; what they left here must not pile up."""
    rig.limits = Limits(admissions=2)
    life = await rig.start()
    slow = asyncio.Event()
    commit = life.store.commit

    async def slowly(changes: Sequence[object]) -> object:
        await slow.wait()
        return await commit(changes)  # type: ignore[arg-type]  # passed on

    life.store.commit = slowly  # type: ignore[assignment, method-assign]  # only here
    entering = [asyncio.ensure_future(life.requests.submit([job(str(n), "run=5ms")])) for n in range(2)]
    await rig.quiet()
    with pytest.raises(Busy, match="taking in many jobs"):
        await life.requests.submit([job("3", "run=5ms")])
    slow.set()
    await asyncio.gather(*entering)
    await rig.until_state("1", JobState.SUCCESS)
    assert await rig.store.find(ref("3")) is None


async def test_a_create_that_gave_up_on_a_slow_disk_gets_the_same_answer_when_it_comes_again(rig: Rig) -> None:
    """The 503 after a timeout: the job may be on disk by then, and repeating the call is safe."""
    life = await rig.start()
    crowd(life)
    life.store.fail("commit")
    with pytest.raises(NotReady):
        await life.requests.submit([job("1", "run=forever")])
    assert await live_ids(rig) == []
    life.store.mend()
    submitting = asyncio.ensure_future(life.requests.submit([job("1", "run=forever")]))
    await asyncio.sleep(0)
    submitting.cancel()
    first = await life.requests.submit([job("1", "run=forever")])
    assert await life.requests.submit([job("1", "run=forever")]) == first
    assert await live_ids(rig) == ["1"]


# ------------------------------------------------------------------------------------------------ inboxes of jobs


async def stuck(rig: Rig, life: Life) -> JobUid:
    """A job whose store is away, with an event that is being written."""
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    life.store.fail("commit")
    running = life.supervisor.engine.newest(job("1").id)
    assert running is not None
    life.supervisor.engine.post(running.uid, StopRequested(StopCause.NO_CREDITS))
    await rig.quiet()
    return running.uid


async def test_what_happens_again_and_again_while_the_store_is_away_is_kept_once(rig: Rig) -> None:
    """Ticks and charges come by the clock, for hours perhaps."""
    life = await rig.start()
    uid = await stuck(rig, life)
    events: list[Event] = [Tick(), ChargeDue(), StopRequested(StopCause.CANCELLED)]
    for _ in range(100):
        for event in events:
            life.supervisor.engine.post(uid, event)
    assert life.supervisor.engine.backlog(uid) == 3
    life.store.mend()
    await rig.until_nothing_is_left()


async def test_what_happened_while_the_same_was_being_written_is_kept(rig: Rig) -> None:
    """It was decided at an earlier time."""
    life = await rig.start()
    uid = await stuck(rig, life)
    life.supervisor.engine.post(uid, StopRequested(StopCause.NO_CREDITS))
    assert life.supervisor.engine.backlog(uid) == 1
    life.store.mend()
    await rig.until_nothing_is_left()


async def test_orders_are_refused_before_they_gather_in_front_of_a_store_that_is_away(rig: Rig) -> None:
    rig.limits = Limits(inbox=5)
    life = await rig.start()
    await stuck(rig, life)
    for _ in range(20):
        with pytest.raises((TimeoutError, Busy)):
            async with asyncio.timeout(0.001):
                await life.requests.terminate([ref("1")])
    with pytest.raises(Busy, match="cannot write"):
        await life.requests.extend([(ref("1"), 1000)])
    uid = life.supervisor.engine.jobs()[0].uid
    assert life.supervisor.engine.backlog(uid) <= 5
    life.store.mend()
    await rig.until_nothing_is_left()
