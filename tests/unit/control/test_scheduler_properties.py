"""The whole scheduler with random jobs that come and end (SCH-8 to SCH-12): what must hold whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.local_cluster import CATEGORY, Machines
from tests.unit.control.test_scheduler import Bench
from ucloud_ray.control import scheduler as module
from ucloud_ray.domain.events import PlacementGranted
from ucloud_ray.domain.ids import JobUid, Millis
from ucloud_ray.domain.job import Backend
from ucloud_ray.domain.products import size_of

NATIVE = Backend.NATIVE
"""Gangs of containers would need a network."""

ARRIVES = st.tuples(
    st.just("arrives"), st.sampled_from(["one-core", "whole"]), st.integers(1, 3), st.integers(0, 1), st.booleans()
)
ENDS = st.tuples(st.just("ends"), st.integers(0, 9))
MACHINE = st.tuples(
    st.sampled_from(["drained", "taken back", "lost", "returns"]), st.sampled_from(["node-a", "node-b"])
)
STEPS = st.lists(ARRIVES | ENDS | MACHINE, max_size=25)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_nothing_is_ever_sold_twice_and_no_gang_is_torn(tmp_path: Path, steps: list[Any]) -> None:
    asyncio.run(_drive(tmp_path, steps))


async def _drive(folder: Path, steps: list[Any]) -> None:
    bench = Bench(Machines(folder))
    closed: set[str] = set()
    for number, step in enumerate(steps):
        seen = len(bench.posted)
        _apply(bench, number, step, closed)
        await bench.scheduler.look()
        granted = [event for _, event in bench.posted[seen:] if isinstance(event, PlacementGranted)]
        assert not {host for event in granted for host in event.hosts} & closed, (
            "a machine that takes nobody got somebody"
        )
        _check_books(bench)
    await _check_that_everybody_is_placed_in_the_end(bench)


def _apply(bench: Bench, number: int, step: Any, closed: set[str]) -> None:
    match step:
        case ("arrives", machine, replicas, priority, old):
            age = module.STARVATION_AGE + 1 if old else 0
            bench.queue(f"{number}", age=age, priority=priority, machine=machine, replicas=replicas, backend=NATIVE)
        case ("ends", which):
            placed = [uid for uid in bench.placed if JobUid(uid) in bench.scheduler.ledger]
            if placed:
                bench.scheduler.released(JobUid(placed[which % len(placed)]))
        case (what, host):
            _change_machine(bench, what, host)
            drained, away = bench.scheduler.ledger.drained, not bench.machines.hosts[host].here.is_set()
            (closed.add if host in drained or away else closed.discard)(host)


def _change_machine(bench: Bench, what: str, host: str) -> None:
    ledger, machines = bench.scheduler.ledger, bench.machines
    match what:
        case "drained":
            ledger.drained = {**ledger.drained, host: ""}
        case "taken back":
            ledger.drained = {name: why for name, why in ledger.drained.items() if name != host}
        case "lost":
            machines.lose(host)
        case "returns":
            machines.bring_back(host)


def _check_books(bench: Bench) -> None:
    """Added up anew from who holds what, and not from the books' own sums."""
    used: Counter[str] = Counter()
    for holding in bench.scheduler.ledger.holdings():
        for host in holding.hosts:
            used[host] += size_of(holding.machine).cpu_milli
    for host, machine in bench.machines.hosts.items():
        assert used[host] <= machine.capacity[CATEGORY][0]
        assert bench.scheduler.ledger.used(CATEGORY, host).cpu_milli == used[host]
    for uid, event in bench.posted:
        if isinstance(event, PlacementGranted):
            assert len(event.hosts) == len(event.addresses)
            assert bench.placed.count(uid) == 1, "one grant for one request"


async def _check_that_everybody_is_placed_in_the_end(bench: Bench) -> None:
    """No starvation: when what runs ends, everybody who fits at all gets a turn."""
    bench.scheduler.ledger.drained = {}
    for host in bench.machines.hosts:
        bench.machines.bring_back(host)
    seen = len(bench.posted)
    for _ in range(100):
        for uid in bench.placed:
            bench.scheduler.released(JobUid(uid))
        await bench.scheduler.look()
    waiting = bench.scheduler.in_order()
    assert all(entry.job.spec.replicas == 3 and entry.shape[2].cpu_milli == 4_000 for entry in waiting), "it fits"
    late = [uid for uid, event in bench.posted[seen:] if isinstance(event, PlacementGranted)]
    assert len(late) == len(set(late))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=12))
def test_equal_jobs_are_placed_by_priority_and_submission_and_number(
    tmp_path: Path, jobs: list[tuple[int, int]]
) -> None:
    """SCH-10: stable."""

    async def drive() -> list[str]:
        bench = Bench(Machines(tmp_path, ["node-a"]))
        for number, (priority, age) in enumerate(jobs):
            bench.queue(str(number), age=age, priority=priority, machine="whole")
        for _ in jobs:
            await bench.scheduler.look()
            bench.scheduler.released(JobUid(bench.placed[-1]))
        return bench.placed

    expected = sorted(range(len(jobs)), key=lambda n: (-jobs[n][0], Millis(-jobs[n][1]), n))
    assert asyncio.run(drive()) == [str(number) for number in expected]
