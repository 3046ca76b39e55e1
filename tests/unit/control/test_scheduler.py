"""The queue in front of the cluster (SCH-9 to SCH-14, D6), by rounds that the test calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_cluster import LocalCluster, Machines
from tests.support.wait import async_wait_until
from tests.unit.control.rig import spec
from ucloud_ray.control import scheduler as module
from ucloud_ray.control.ports import ClusterUnavailable
from ucloud_ray.control.scheduler import Scheduler, could_ever_fit
from ucloud_ray.domain.events import NoRoom, PlacementGranted
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Backend, Job, Queued

NOW = Millis(1_700_000_000_000)


@dataclass
class StoppedClock:
    time: Millis = NOW

    def now(self) -> Millis:
        return self.time


@dataclass
class Bench:
    machines: Machines
    clock: StoppedClock = field(default_factory=StoppedClock)
    posted: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = LocalCluster(self.machines)
        self.scheduler = Scheduler(self.cluster, self.clock, lambda uid, event: self.posted.append((uid, event)))

    def queue(self, uid: str, age: int = 0, **what: Any) -> Job:
        accepted = Millis(NOW - age)
        job = Job(JobUid(uid), JobId(uid), NOW, spec(**what), Queued(accepted), accepted_at=accepted)
        self.scheduler.request(job, 1)
        return job

    @property
    def placed(self) -> list[str]:
        return [uid for uid, event in self.posted if isinstance(event, PlacementGranted)]

    @property
    def refused(self) -> list[str]:
        return [uid for uid, event in self.posted if isinstance(event, NoRoom)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Machines(tmp_path, ["node-a"]))


async def test_jobs_are_placed_in_the_order_of_acceptance(bench: Bench) -> None:
    """SCH-10."""
    bench.queue("young", age=1)
    bench.queue("old", age=3)
    bench.queue("middle", age=2)
    await bench.scheduler.look()
    assert bench.placed == ["old", "middle", "young"]


async def test_a_job_that_fits_passes_one_that_does_not(bench: Bench) -> None:
    bench.queue("first", age=3)
    bench.queue("big", age=2, machine="whole")
    bench.queue("small", age=1)
    await bench.scheduler.look()
    assert bench.placed == ["first", "small"]
    assert bench.scheduler.place_in_queue(JobUid("big")) == 1


async def test_nothing_passes_a_job_that_has_starved(bench: Bench) -> None:
    bench.queue("first", age=module.STARVATION_AGE + 3)
    bench.queue("big", age=module.STARVATION_AGE + 2, machine="whole")
    bench.queue("small")
    await bench.scheduler.look()
    assert bench.placed == ["first"]
    bench.scheduler.released(JobUid("first"))
    await bench.scheduler.look()
    assert bench.placed == ["first", "big"]


async def test_a_round_passes_over_a_limited_number_of_jobs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKFILL", 2)
    for number in range(3):
        bench.queue(f"big-{number}", age=9 - number, machine="whole", replicas=2)
    bench.queue("small")
    await bench.scheduler.look()
    assert bench.placed == []
    assert bench.refused == ["big-0", "big-1"]


async def test_that_there_is_no_room_is_said_once(bench: Bench) -> None:
    """SCH-13."""
    bench.cluster.full = True
    bench.queue("1")
    for _ in range(3):
        await bench.scheduler.look()
    assert bench.posted == [("1", NoRoom())]
    assert bench.scheduler.waiting() == {"standard": 1}


async def test_asking_twice_is_asking_once(bench: Bench) -> None:
    job = bench.queue("1")
    bench.scheduler.request(job, 1)
    await bench.scheduler.look()
    bench.scheduler.request(job, 1)
    await bench.scheduler.look()
    assert bench.posted == [("1", PlacementGranted(1, ("node-a",)))]


async def test_a_machine_without_the_backend_gets_nothing(bench: Bench) -> None:
    bench.machines.hosts["node-a"].backends = frozenset({Backend.NATIVE})
    bench.queue("1")
    await bench.scheduler.look()
    assert bench.posted == [("1", NoRoom())]
    assert bench.cluster.calls == []


async def test_a_lost_machine_gets_nothing(bench: Bench) -> None:
    """SCH-12."""
    bench.machines.lose("node-a")
    bench.queue("1")
    await bench.scheduler.look()
    assert bench.posted == [("1", NoRoom())]


async def test_the_fullest_machine_that_fits_is_taken(tmp_path: Path) -> None:
    """SCH-11."""
    bench = Bench(Machines(tmp_path, ["node-a", "node-b"]))
    job = bench.queue("running")
    bench.scheduler.withdraw(job.uid)
    bench.scheduler.ledger.book(job.uid, job.spec.machine, ("node-b",))
    bench.queue("1")
    await bench.scheduler.look()
    assert bench.posted == [("1", PlacementGranted(1, ("node-b",)))]


async def test_a_cluster_that_does_not_answer_changes_nothing(bench: Bench) -> None:
    bench.cluster.unavailable = True
    bench.queue("1")
    await bench.scheduler.look()
    assert bench.posted == []
    bench.cluster.unavailable = False
    await bench.scheduler.look()
    assert bench.placed == ["1"]


async def test_a_placement_that_is_refused_occupies_nothing(bench: Bench) -> None:
    bench.cluster.full = True
    bench.queue("1")
    await bench.scheduler.look()
    assert JobUid("1") not in bench.scheduler.ledger
    assert bench.scheduler.ledger.used("standard", "node-a") == (0, 0, 0)


async def test_a_job_that_left_and_came_back_gets_its_own_placement(bench: Bench) -> None:
    """A machine is suspended and resumed while its first placement is under way: that one is given back."""
    job = bench.queue("1")
    bench.cluster.hold("place")
    looking = asyncio.create_task(bench.scheduler.look())
    await _turns()
    bench.scheduler.withdraw(job.uid)
    bench.scheduler.released(job.uid)
    bench.scheduler.request(replace(job, incarnation=1), 2)
    bench.cluster.let_go("place")
    await looking
    await bench.scheduler.look()
    assert bench.posted == [("1", PlacementGranted(2, ("node-a",)))]
    assert list(bench.machines.reservations) == [("1", 2)]


async def test_a_job_that_leaves_during_a_refusal_is_forgotten(bench: Bench) -> None:
    job = bench.queue("1")
    bench.cluster.full = True
    bench.cluster.hold("place")
    looking = asyncio.create_task(bench.scheduler.look())
    await _turns()
    bench.scheduler.withdraw(job.uid)
    bench.cluster.let_go("place")
    await looking
    assert bench.posted == []
    assert not bench.scheduler._told


async def test_the_scheduler_outlives_a_round_that_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    bench.cluster.broken["place"] = RuntimeError("not foreseen")
    bench.queue("1")
    running = asyncio.create_task(bench.scheduler.run())
    await _until(lambda: len(bench.cluster.calls) >= 2)
    bench.cluster.broken.clear()
    await _until(lambda: bench.placed)
    running.cancel()


async def test_what_cannot_be_given_back_now_is_given_back_in_a_later_round(bench: Bench) -> None:
    job = bench.queue("1")
    bench.cluster.hold("place")
    bench.cluster.broken["release"] = ClusterUnavailable("for now")
    looking = asyncio.create_task(bench.scheduler.look())
    await _turns()
    bench.scheduler.withdraw(job.uid)
    bench.cluster.let_go("place")
    await looking
    assert list(bench.machines.reservations) == [("1", 1)]
    bench.cluster.broken.clear()
    await bench.scheduler.look()
    assert not bench.machines.reservations
    assert bench.posted == []


async def test_what_is_larger_than_all_machines_together_can_never_fit(bench: Bench) -> None:
    """SCH-14."""
    ledger = bench.scheduler.ledger
    machine = spec(machine="whole").machine
    assert could_ever_fit(ledger, machine, 100), "no machine is known yet"
    await bench.scheduler.look()
    assert could_ever_fit(ledger, machine, 1)
    assert not could_ever_fit(ledger, machine, 2)


async def _until(condition: Callable[[], Any]) -> None:
    async def observe() -> Any:
        return condition()

    await async_wait_until(observe, "the scheduler to go on", timeout=5)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
