"""What the clock counts from outlives whoever reads it (TIME-11, TIME-13)."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.store.jobs import a_job
from ucloud_ray.control.clock import Anchor
from ucloud_ray.control.ports import Change
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Final, JobState, Verdict
from ucloud_ray.store import SqlJobStore, open_store

NANOS = 1_000_000
NOW = Millis(1_800_000_000_000)
HOUR = 3_600_000 * NANOS
FIRST = Anchor("boot-1", 7 * HOUR, NOW * NANOS)


class SetClock:
    def now(self) -> Millis:
        return NOW


async def test_while_a_job_lives_the_first_anchor_of_a_start_of_the_machine_counts(url: str) -> None:
    store = await open_store(url, SetClock())
    assert await store.anchor(FIRST) == FIRST
    await store.commit([Change(a_job())])
    await store.close()
    again = await open_store(url, SetClock())
    for jump in (-HOUR, HOUR):
        assert await again.anchor(Anchor("boot-1", 8 * HOUR, FIRST.wall + HOUR + jump)) == FIRST
    await again.close()


async def test_after_a_new_start_of_the_machine_the_wall_clock_is_read_anew(url: str) -> None:
    store = await open_store(url, SetClock())
    await store.anchor(FIRST)
    await store.commit([Change(a_job())])
    later = Anchor("boot-2", 0, FIRST.wall + HOUR)
    assert await store.anchor(later) == later
    assert await store.anchor(Anchor("boot-2", HOUR, FIRST.wall)) == later
    await store.close()


async def test_it_never_goes_back_behind_what_a_living_job_has_seen(url: str) -> None:
    """A machine whose battery is empty starts in another year."""
    store = await open_store(url, SetClock())
    await store.anchor(FIRST)
    await store.commit([Change(a_job())])
    assert await store.anchor(Anchor("boot-2", 5, 0)) == Anchor("boot-2", 5, NOW * NANOS)
    await store.close()


async def test_when_no_job_lives_a_wrong_clock_is_put_right(store: SqlJobStore) -> None:
    await store.anchor(FIRST)
    job = a_job()
    await store.commit([Change(replace(job, phase=Final(Verdict(JobState.SUCCESS, ""), NOW)))])
    corrected = Anchor("boot-1", 8 * HOUR, FIRST.wall - HOUR)
    assert await store.anchor(corrected) == corrected
