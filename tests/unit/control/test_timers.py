"""Ticks at the right moment, however late they are looked at (TIME-10)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.support.wait import async_wait_until
from tests.unit.control.rig import spec
from ucloud_ray.control import timers as module
from ucloud_ray.control.timers import Timers
from ucloud_ray.domain.events import Tick
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Final, Job, JobState, Rank, Running, TimeBook, Verdict

NOW = Millis(1_700_000_000_000)
HOUR = 3_600_000


@dataclass
class SetClock:
    time: int = NOW

    def now(self) -> Millis:
        return Millis(self.time)


@dataclass
class Bench:
    clock: SetClock = field(default_factory=SetClock)
    posted: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timers = Timers(self.clock, lambda uid, event: self.posted.append((uid, event)))


def running(uid: str, allocation: int | None = HOUR) -> Job:
    times = TimeBook(allocation=allocation, first_running=NOW, running_since=NOW)
    return Job(JobUid(uid), JobId(uid), NOW, spec(), Running((Rank(0, "node-a", handle={}),)), times=times)


def test_a_job_ticks_at_its_deadline_once() -> None:
    bench = Bench()
    bench.timers.update(running("1"))
    bench.clock.time = NOW + HOUR - 1
    bench.timers.fire()
    assert bench.posted == []
    bench.clock.time = NOW + HOUR
    bench.timers.fire()
    bench.timers.fire()
    assert bench.posted == [("1", Tick())]


def test_an_extended_job_ticks_at_its_new_deadline_only() -> None:
    bench = Bench()
    bench.timers.update(running("1"))
    bench.timers.update(running("1", allocation=2 * HOUR))
    bench.clock.time = NOW + HOUR
    bench.timers.fire()
    assert bench.posted == []
    bench.clock.time = NOW + 2 * HOUR
    bench.timers.fire()
    assert bench.posted == [("1", Tick())]


def test_a_job_without_a_deadline_never_ticks() -> None:
    bench = Bench()
    bench.timers.update(running("1", allocation=None))
    bench.clock.time = NOW + 1000 * HOUR
    bench.timers.fire()
    assert bench.posted == []


def test_jobs_that_ended_before_their_deadline_are_not_kept_until_then() -> None:
    bench = Bench()
    for number in range(1000):
        job = running(str(number))
        bench.timers.update(job)
        bench.timers.update(replace(job, phase=Final(Verdict(JobState.SUCCESS, ""), NOW)))
    assert len(bench.timers._heap) <= module.SLACK
    assert not bench.timers._due
    bench.clock.time = NOW + HOUR
    bench.timers.fire()
    assert bench.posted == []


def test_living_jobs_keep_their_deadline_when_dead_ones_are_dropped() -> None:
    bench = Bench()
    bench.timers.update(running("alive"))
    for number in range(500):
        job = running(str(number), allocation=2 * HOUR)
        bench.timers.update(job)
        bench.timers.update(replace(job, phase=Final(Verdict(JobState.SUCCESS, ""), NOW)))
    bench.clock.time = NOW + HOUR
    bench.timers.fire()
    assert bench.posted == [("alive", Tick())]


async def test_a_clock_that_jumps_over_a_deadline_is_noticed_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that slept while its machine was suspended."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    bench = Bench()
    bench.timers.update(running("1"))
    going = asyncio.create_task(bench.timers.run())
    await asyncio.sleep(0)
    assert bench.posted == []
    bench.clock.time = NOW + HOUR

    async def ticked() -> bool:
        return bench.posted == [("1", Tick())]

    await async_wait_until(ticked, "the tick", timeout=5)
    going.cancel()


async def test_the_timers_can_be_ended_in_the_moment_in_which_they_are_woken() -> None:
    bench = Bench()
    going = asyncio.create_task(bench.timers.run())
    for _ in range(3):
        await asyncio.sleep(0)
    bench.timers.update(running("1"))
    await asyncio.sleep(0)
    going.cancel()
    await asyncio.wait([going], timeout=1)
    assert going.cancelled()
