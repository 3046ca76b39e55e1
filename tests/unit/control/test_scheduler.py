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
from ucloud_ray.control.addresses import Addresses
from ucloud_ray.control.ports import ClusterUnavailable
from ucloud_ray.control.scheduler import Scheduler, could_ever_fit
from ucloud_ray.control.waiting_news import WaitingNews
from ucloud_ray.domain.events import NoRoom, Noted, PlacementGranted
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Backend, Job, Queued
from ucloud_ray.settings import NetworkSettings

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
    seconds: float = 0.0
    """The monotonic clock of what is told."""

    def __post_init__(self) -> None:
        self.cluster = LocalCluster(self.machines)
        self.scheduler = Scheduler(
            self.cluster,
            self.clock,
            lambda uid, event: self.posted.append((uid, event)),
            Addresses(NetworkSettings(mode="none"), _no_number),
        )
        self.scheduler.news = WaitingNews(
            self.scheduler.ledger, self.scheduler._keeping, self.scheduler._post, lambda: self.seconds
        )

    def queue(self, uid: str, age: int = 0, priority: int = 0, pause: int = 0, **what: Any) -> Job:
        accepted, wanted = Millis(NOW - age), spec(**what)
        wanted = replace(wanted, machine=replace(wanted.machine, priority=priority))
        phase = Queued(accepted, not_before=Millis(NOW + pause) if pause else None)
        job = Job(JobUid(uid), JobId(uid), NOW, wanted, phase, accepted_at=accepted)
        self.scheduler.request(job, 1)
        return job

    async def wait(self, seconds: float) -> None:
        """That much later, a round."""
        self.seconds += seconds
        self.clock.time = Millis(self.clock.time + round(seconds * 1000))
        await self.scheduler.look()

    @property
    def comments(self) -> list[tuple[str, str]]:
        return [(uid, event.status) for uid, event in self.posted if isinstance(event, Noted)]

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


async def test_the_order_is_priority_then_submission_then_number(bench: Bench) -> None:
    """SCH-10: stable, and numbers in their own order."""
    bench.queue("10", age=5)
    bench.queue("9", age=5)
    bench.queue("urgent", priority=1)
    bench.queue("8", age=5, priority=-1)
    await bench.scheduler.look()
    assert bench.placed == ["urgent", "9", "10", "8"]


async def test_a_starved_job_gets_the_room_that_becomes_free(bench: Bench) -> None:
    """SCH-10: without the guard the small ones would take one core each for ever."""
    bench.queue("first", age=module.STARVATION_AGE + 3)
    bench.queue("big", age=module.STARVATION_AGE + 2, machine="whole")
    bench.queue("small")
    bench.queue("urgent", priority=9)
    await bench.scheduler.look()
    assert bench.placed == ["first"]
    bench.scheduler.released(JobUid("first"))
    await bench.scheduler.look()
    assert bench.placed == ["first", "big"]


async def test_room_that_a_starved_job_does_not_need_stays_open(tmp_path: Path) -> None:
    """SCH-10: it reserves the machines it needs, not the category."""
    bench = Bench(Machines(tmp_path, ["node-a", "node-b"]))
    running = [bench.queue(f"running-{n}", age=module.STARVATION_AGE + 9) for n in range(5)]
    await bench.scheduler.look()
    bench.queue("big", age=module.STARVATION_AGE + 1, machine="whole")
    bench.queue("small-1")
    bench.queue("small-2")
    bench.queue("small-3")
    await bench.scheduler.look()
    granted = {uid: event.hosts for uid, event in bench.posted if isinstance(event, PlacementGranted)}
    assert [granted[job.uid] for job in running] == [("node-a",)] * 4 + [("node-b",)]
    assert "small-1" not in granted, "node-b has the most room, so it is kept"
    bench.scheduler.released(running[0].uid)
    await bench.scheduler.look()
    assert bench.placed[5:] == ["small-1"], "on node-a, which nobody keeps"
    bench.scheduler.released(running[4].uid)
    await bench.scheduler.look()
    assert bench.placed[6:] == ["big"]


async def test_a_starved_job_whose_machine_goes_away_keeps_another(tmp_path: Path) -> None:
    bench = Bench(Machines(tmp_path, ["node-a", "node-b"]))
    old = module.STARVATION_AGE
    running = [bench.queue(f"running-{n}", age=old + 9) for n in range(5)]
    await bench.scheduler.look()
    bench.queue("big", age=old + 1, machine="whole")
    await bench.scheduler.look()
    bench.machines.lose("node-b")
    bench.queue("small")
    bench.scheduler.released(running[0].uid)
    await bench.scheduler.look()
    assert "small" not in bench.placed
    for job in running[1:4]:
        bench.scheduler.released(job.uid)
    await bench.scheduler.look()
    assert bench.placed[-1] == "big"


async def test_of_jobs_that_want_the_same_only_the_first_is_tried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long queue costs no more than a short one."""
    tried: list[str] = []
    place = module.place_greedily
    monkeypatch.setattr(module, "place_greedily", lambda *a, **k: tried.append("") or place(*a, **k))
    for number in range(1000):
        bench.queue(f"big-{number}", age=9999 - number, machine="whole", replicas=2)
    bench.queue("small")
    await bench.scheduler.look()
    assert bench.placed == ["small"]
    assert len(tried) == 2
    assert len(bench.refused) == 1000


async def test_a_job_whose_start_failed_pauses_and_keeps_its_place(bench: Bench) -> None:
    """SCH-11."""
    bench.queue("failed", age=9, pause=5_000)
    bench.queue("other", age=8, machine="whole")
    await bench.scheduler.look()
    assert (bench.placed, bench.refused) == (["other"], [])
    assert bench.scheduler.waiting() == {"standard": 1}
    assert bench.scheduler.why(JobUid("failed")) == "Waiting to be started again after an attempt that failed"
    bench.queue("later", age=7)
    assert [bench.scheduler.place_in_queue(JobUid(uid)) for uid in ("failed", "later")] == [1, 1]
    bench.scheduler.released(JobUid("other"))
    await bench.wait(5)
    assert bench.placed == ["other", "failed", "later"]
    assert not bench.scheduler._pausing


async def test_a_job_that_leaves_while_it_pauses_is_forgotten(bench: Bench) -> None:
    job = bench.queue("1", pause=5_000)
    bench.scheduler.withdraw(job.uid)
    await bench.wait(10)
    assert bench.posted == []
    assert bench.scheduler.waiting() == {}


async def test_place_and_reason_are_told_to_who_waits_for_longer(bench: Bench) -> None:
    bench.queue("1", machine="whole")
    bench.queue("2", machine="whole")
    await bench.scheduler.look()
    bench.queue("3", machine="whole")
    assert bench.comments == []
    await bench.wait(4)
    assert bench.comments == [("2", "Waiting for room: 1st in the queue of standard; needs 1 x 4 cores, 0 are free")]
    await bench.wait(4)
    assert bench.comments[1:] == [
        ("3", "Waiting for room: 2nd in the queue of standard; needs 1 x 4 cores, 0 are free")
    ]
    for _ in range(100):
        await bench.wait(4)
    assert len(bench.comments) == 2, "nothing has changed"


async def test_a_new_reason_is_told(bench: Bench) -> None:
    """SCH-13, SCH-15."""
    bench.queue("1", machine="whole")
    bench.queue("2", machine="whole")
    for _ in range(3):
        await bench.wait(4)
    bench.scheduler.ledger.drained = {"node-a": ""}
    await bench.wait(60)
    assert bench.comments[1:] == [
        (
            "2",
            "Waiting for room: 1st in the queue of standard; "
            "no machine for it is available at the moment (1 in maintenance)",
        )
    ]


async def test_a_drained_machine_gets_nothing(bench: Bench) -> None:
    """SCH-12."""
    bench.scheduler.ledger.drained = {"node-a": "new disks"}
    bench.queue("1")
    await bench.scheduler.look()
    assert bench.posted == [("1", NoRoom())]
    assert bench.cluster.calls == []


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
    assert bench.posted == [("1", PlacementGranted(1, ("node-a",), (None,)))]


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
    assert bench.posted == [("1", PlacementGranted(1, ("node-b",), (None,)))]


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
    assert bench.posted == [("1", PlacementGranted(2, ("node-a",), (None,)))]
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
    assert not bench.scheduler._untold


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
    assert not could_ever_fit(ledger, replace(machine, gpu=1), 1), "in every dimension"
    bench.machines.hosts["node-a"].backends = frozenset({Backend.NATIVE})
    await bench.scheduler.look()
    assert not could_ever_fit(ledger, machine, 1, Backend.DOCKER)
    assert could_ever_fit(ledger, machine, 1, Backend.NATIVE)


async def test_what_fits_a_machine_that_is_away_or_in_maintenance_may_fit_again(bench: Bench) -> None:
    """SCH-14: never is never."""
    await bench.scheduler.look()
    bench.scheduler.ledger.drained = {"node-a": ""}
    bench.machines.lose("node-a")
    await bench.scheduler.look()
    assert could_ever_fit(bench.scheduler.ledger, spec(machine="whole").machine, 1, Backend.DOCKER)
    assert not could_ever_fit(bench.scheduler.ledger, spec(machine="whole").machine, 2, Backend.DOCKER)


async def _until(condition: Callable[[], Any]) -> None:
    async def observe() -> Any:
        return condition()

    await async_wait_until(observe, "the scheduler to go on", timeout=5)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _no_number(host: str) -> int:
    raise AssertionError(f"{host} needs no number without a network")
