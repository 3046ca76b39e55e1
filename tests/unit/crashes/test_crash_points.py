"""Every life of a job, broken at every single effect of it, one by one (D2, D3, REC-2 to REC-5, REC-17 to REC-19).

For each story its effects are counted in one undisturbed life. Then it is played again for each of them and each kind
of fault: the process gone before it or right after it, the call failing before it or with its answer lost. What must
be true in the end is the same every time: the states and the last word that users see, every rank started as often as
it should, every minute of running time charged once, nothing held, nothing owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.unit.control.rig import ShiftedClock
from tests.unit.crashes.fuse import Fault, Fuse
from tests.unit.crashes.stories import STORIES, Story
from tests.unit.crashes.world import World, open_world_store, tag_tasks
from ucloud_ray.control import charger, charging_cycle, engine, leftovers, offers, scheduler, supervisor
from ucloud_ray.control import credits as funds
from ucloud_ray.control.service import BackendSupport
from ucloud_ray.domain.job import Backend
from ucloud_ray.store import SqlJobStore

AT_ONCE = 6
"""Worlds that are played beside each other: they mostly wait."""
RHYTHM = charger.Rhythm(gather=0.002, first_pause=0.002, longest_pause=0.01)
MEMORY = funds.Memory(of_no=0.01)


@dataclass
class Stage:
    """Empty stores, used again and again: what a story leaves in one is final."""

    folder: Path
    stores: asyncio.Queue[tuple[SqlJobStore, ShiftedClock]] = field(default_factory=asyncio.Queue)
    played: int = 0

    async def prepare(self) -> None:
        for number in range(AT_ONCE):
            place = self.folder / str(number)
            place.mkdir()
            clock = ShiftedClock()
            self.stores.put_nowait((await open_world_store(place, clock), clock))

    async def close(self) -> None:
        while not self.stores.empty():
            await self.stores.get_nowait()[0].close()

    async def play(self, story: Story, *fuses: Fuse) -> None:
        """Raises `AssertionError` with what was found, and where it had been broken."""
        store, clock = await self.stores.get()
        self.played += 1
        world = World(self.folder / f"world-{self.played}", store, clock, story.rules, self.played)
        try:
            await self._play(story, world, *fuses)
        except Exception as found:
            raise AssertionError(f"{story.name}, {_words(fuses)}: {found!r}; told {world.told()}") from found
        finally:
            world.close()
            self.stores.put_nowait((store, clock))

    async def _play(self, story: Story, world: World, *fuses: Fuse) -> None:
        living = asyncio.create_task(world.live(*fuses))
        try:
            async with asyncio.timeout(60):
                await story.play(world)
                await world.settle()
            judge(story, world)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            for life in world.lives:
                await life.drop()


def judge(story: Story, world: World) -> None:
    told, outcome = world.core.job("1"), story.outcome
    assert " ".join(told.states) in outcome.states, told.updates
    assert outcome.text in told.texts[-1], told.texts
    starts = {sum(world.starts(uid, rank) for uid in world.uids[-1:]) for rank in range(story.ranks)}
    assert starts <= set(outcome.starts), f"started {starts}"
    assert world.core.units("1") in outcome.units or len(world.uids) > 1, world.core.charged
    story.judge(world)


def _words(fuses: tuple[Fuse, ...]) -> str:
    return "; ".join(f"{fuse.fault} effect {fuse.at} ({fuse.struck})" for fuse in fuses) or "undisturbed"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits that only matter in real life."""
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(engine, "CLOSE_SECONDS", 0.02)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(leftovers, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "ADOPT_SECONDS", 0.005)
    monkeypatch.setattr(charging_cycle, "FIRST_SECONDS", 0.02)
    machines = BackendSupport(enabled=True, suspension=True)
    monkeypatch.setattr(offers, "SUPPORTED", {**offers.SUPPORTED, Backend.VIRTUAL_MACHINE: machines})
    monkeypatch.setattr(charger, "Rhythm", lambda: RHYTHM)
    monkeypatch.setattr(funds, "Memory", lambda: MEMORY)
    with capture_logs():
        yield


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    asyncio.get_running_loop().set_task_factory(tag_tasks)
    made = Stage(folder)
    await made.prepare()
    try:
        yield made
    finally:
        await made.close()


async def effects_of(made: Stage, story: Story) -> list[str]:
    calm = Fuse()
    await made.play(story, calm)
    return calm.seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_whatever_breaks_between_any_two_effects_the_story_ends_as_it_must(story: Story, tmp_path: Path) -> None:
    async with stage(tmp_path) as made:
        effects = await effects_of(made, story)
        assert len(effects) >= 5
        points = [Fuse(at, fault) for at in range(1, len(effects) + 1) for fault in story.faults]
        outcomes = await asyncio.gather(*(made.play(story, point) for point in points), return_exceptions=True)
    found = [str(outcome) for outcome in outcomes if outcome is not None]
    assert not found, f"{len(found)} of {len(points)} points:\n" + "\n".join(found[:5])


async def test_a_crash_during_the_recovery_from_a_crash_changes_nothing(tmp_path: Path) -> None:
    """Pairs: the second life is gone after one to three effects of its own."""
    story = STORIES[0]
    async with stage(tmp_path) as made:
        effects = await effects_of(made, story)
        pairs = [
            (Fuse(at, Fault.CRASH_AFTER), Fuse(then, fault))
            for at in range(1, len(effects) + 1)
            for then, fault in ((1, Fault.CRASH_BEFORE), (1, Fault.CRASH_AFTER), (3, Fault.CRASH_AFTER))
        ]
        outcomes = await asyncio.gather(*(made.play(story, *pair) for pair in pairs), return_exceptions=True)
    found = [str(outcome) for outcome in outcomes if outcome is not None]
    assert not found, f"{len(found)} of {len(pairs)} pairs:\n" + "\n".join(found[:5])
