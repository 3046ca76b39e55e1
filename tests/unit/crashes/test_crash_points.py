"""Every life of a job, broken at every single effect of it, one by one (D2, D3, REC-2 to REC-5, REC-17 to REC-19).

For each story its effects are counted in one undisturbed life. Then it is played again for each of them and each kind
of fault: the process gone before it or right after it, the call failing before it or with its answer lost. What must
be true in the end is the same every time: the states and the last word that users see, every rank started as often as
it should, every minute of running time charged once, nothing held, nothing owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from tests.unit.control.rig import ShiftedClock
from tests.unit.crashes.fuse import Fault, Fuse
from tests.unit.crashes.stories import MINUTE, STORIES, Story
from tests.unit.crashes.virtual_time import virtual_time
from tests.unit.crashes.world import World, open_world_store, tag_tasks
from ucloud_ray.control import charger, charging_cycle, engine, leftovers, offers, scheduler, supervisor
from ucloud_ray.control import credits as funds
from ucloud_ray.control.service import BackendSupport
from ucloud_ray.domain.job import Backend, Job
from ucloud_ray.store import SqlJobStore

RHYTHM = charger.Rhythm(gather=0.002, first_pause=0.002, longest_pause=0.01)
MEMORY = funds.Memory(of_no=0.01)


class Stage:
    """One store for all plays: what a story leaves in it is final."""

    def __init__(self, folder: Path, store: SqlJobStore, clock: ShiftedClock) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._played = 0

    async def play(self, story: Story, *fuses: Fuse) -> str | None:
        """What was found, and where it had been broken; None if all is as it must be."""
        self._played += 1
        folder = self._folder / f"world-{self._played}"
        world = World(folder, self._store, self._clock, story.rules, self._played)
        try:
            await self._play(story, world, *fuses)
        except Exception as found:
            return f"{story.name}, {_words(fuses)}: {found!r}; told {world.told()}"
        finally:
            world.close()
        return None

    async def _play(self, story: Story, world: World, *fuses: Fuse) -> None:
        living = asyncio.create_task(world.live(*fuses))
        try:
            async with asyncio.timeout(60):
                await story.play(world)
                await world.settle()
            judge(story, world, await world.store.get(world.uids[-1]))
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            for life in world.lives:
                await life.drop()


def judge(story: Story, world: World, last: Job | None) -> None:
    """`last`: the record of the job that was accepted last."""
    told, outcome = world.core.job("1"), story.outcome
    assert " ".join(told.states) in outcome.states, told.updates
    assert outcome.text in "".join(told.texts[-1:]), told.texts
    assert story.repeats or all(one != other for one, other in pairwise(told.updates)), "an update came twice"
    starts = {sum(world.starts(uid, rank) for uid in world.uids[-1:]) for rank in range(story.ranks)}
    assert starts <= set(outcome.starts), f"started {starts}"
    assert world.core.units("1") in outcome.units or len(world.uids) > 1, world.core.charged
    assert last is not None
    assert last.final, last
    assert all(story.ended(rank) for rank in last.ranks), last.ranks
    judge_charges(world, last)
    story.judge(world)


def judge_charges(world: World, last: Job) -> None:
    """ACC-6: what the Core was told of the last life is its running time, a begun minute counting as a whole one."""
    times = last.times
    charged = sum(
        units
        for name, units in world.core.charged.items()
        if int(name.rpartition("-")[2]) >= (times.first_running or 0)
    )
    owed = 0 if times.first_running is None else max(1, -(-times.ran // MINUTE))
    assert world.core.denied or charged == owed, f"{charged} charged of {owed}; {times}"


def _words(fuses: tuple[Fuse, ...]) -> str:
    return "; ".join(f"{fuse.fault} effect {fuse.at} ({fuse.struck})" for fuse in fuses) or "undisturbed"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits that only matter in real life."""
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(engine, "CLOSE_SECONDS", 0.02)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(leftovers, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "ADOPT_SECONDS", 0.005)
    monkeypatch.setattr(charging_cycle, "FIRST_SECONDS", 0.02)
    machines = BackendSupport(enabled=True, suspension=True)
    monkeypatch.setattr(offers, "SUPPORTED", {**offers.SUPPORTED, Backend.VIRTUAL_MACHINE: machines})
    monkeypatch.setattr(charger, "Rhythm", lambda: RHYTHM)
    monkeypatch.setattr(funds, "Memory", lambda: MEMORY)
    with capture_logs():
        yield


T = TypeVar("T")


def on_stage(folder: Path, show: Callable[[Stage], Coroutine[Any, Any, T]]) -> T:
    """Run it in virtual time, with an empty store."""

    async def run() -> T:
        asyncio.get_running_loop().set_task_factory(tag_tasks)
        clock = ShiftedClock()
        store = await open_world_store(folder, clock)
        try:
            return await show(Stage(folder, store, clock))
        finally:
            await store.close()

    with virtual_time() as runner:
        return runner.run(run())


async def effects_of(stage: Stage, story: Story) -> list[str]:
    calm = Fuse()
    found = await stage.play(story, calm)
    assert found is None, found
    return calm.seen


async def play_all(stage: Stage, story: Story, breaks: Iterable[tuple[Fuse, ...]]) -> None:
    outcomes = [await stage.play(story, *fuses) for fuses in breaks]
    found = [outcome for outcome in outcomes if outcome is not None]
    assert not found, f"{len(found)} of {len(outcomes)} points:\n" + "\n".join(found[:5])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_whatever_breaks_between_any_two_effects_the_story_ends_as_it_must(story: Story, tmp_path: Path) -> None:
    async def show(stage: Stage) -> None:
        effects = await effects_of(stage, story)
        assert len(effects) >= 5
        await play_all(
            stage, story, [(Fuse(at, fault),) for at in range(1, len(effects) + 1) for fault in story.faults]
        )

    on_stage(tmp_path, show)


@pytest.mark.timeout(300)
def test_a_crash_during_the_recovery_from_a_crash_changes_nothing(tmp_path: Path) -> None:
    """Pairs: the second life is gone after one to three effects of its own."""
    story = STORIES[0]

    async def show(stage: Stage) -> None:
        effects = await effects_of(stage, story)
        pairs = [
            (Fuse(at, Fault.CRASH_AFTER), Fuse(then, fault))
            for at in range(1, len(effects) + 1)
            for then, fault in ((1, Fault.CRASH_BEFORE), (1, Fault.CRASH_AFTER), (3, Fault.CRASH_AFTER))
        ]
        await play_all(stage, story, pairs)

    on_stage(tmp_path, show)
