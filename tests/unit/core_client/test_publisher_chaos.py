"""Whatever fails, every job's story arrives whole and in order, and no request breaks LC-20."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.support.fake_core import FakeCore, Fault
from tests.unit.core_client.rig import QUICK, Rig, job_of, rig_of
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.job import Job, JobState

FAULTS: list[Fault | int] = [500, 502, 503, 449, 429, Fault.LOST_REPLY, Fault.LOST_REPLY, Fault.NOT_JSON]
STATES = [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUSPENDED, JobState.RUNNING, JobState.CANCELING]


@pytest.mark.parametrize("seed", range(6))
async def test_every_story_arrives_in_order_whatever_fails(core: FakeCore, tmp_path: Path, seed: int) -> None:
    """LC-16 to LC-21, REC-7 to REC-11: faults of the Core, lost replies, expired tokens, late jobs, our own crashes."""
    chance = random.Random(seed)
    names = [f"job-{n}" for n in range(8)]
    late = chance.sample(names, 2)
    core.add(*(name for name in names if name not in late))
    stories = {name: _story(chance, name) for name in names}
    async with rig_of(core, tmp_path, QUICK) as rig:
        telling = [asyncio.create_task(_tell(rig, chance, job_of(name), story)) for name, story in stories.items()]
        for number in range(20):
            await _disturb(rig, chance)
            if number == 10:
                core.add(*late)
        await asyncio.gather(*telling)
        core.faults.clear()
        await rig.all_told()
    for name, story in stories.items():
        job = core.jobs[name]
        assert _without_repeats(job.texts) == [update.status for update in story], name
        assert _without_repeats(job.states) == [str(u.state) for u in story if u.state], name
        assert _repeats(job.states) <= {"IN_QUEUE"}, name
    assert all(len({item["id"] for item in request}) == len(request) for request in core.requests)
    assert rig.unknown == []


def _story(chance: random.Random, name: str) -> list[Announce]:
    """Texts are distinct, so that a reader can tell a repetition from a new line."""
    story: list[Announce] = []
    for state in (*STATES[: chance.randint(1, 5)], chance.choice([JobState.SUCCESS, JobState.FAILURE])):
        story += [Announce(status=f"{name} text {len(story) + n}") for n in range(chance.randint(0, 2))]
        story.append(Announce(state=state, status=f"{name} {state} {len(story)}"))
    return story


async def _tell(rig: Rig, chance: random.Random, job: Job, story: list[Announce]) -> None:
    left = list(story)
    while left:
        count = chance.randint(1, 2)
        await rig.announce(job, *left[:count])
        left = left[count:]
        await asyncio.sleep(chance.random() * 0.02)


async def _disturb(rig: Rig, chance: random.Random) -> None:
    rig.core.faults.extend(chance.choices(FAULTS, k=chance.randint(0, 2)))
    if chance.random() < 0.2:
        rig.core.expire_tokens()
    if chance.random() < 0.2:
        rig.store.fail("acknowledge", times=2)
    if chance.random() < 0.3:
        await rig.restart()
    await asyncio.sleep(chance.random() * 0.03)


def _without_repeats(values: list[str]) -> list[str]:
    return [value for n, value in enumerate(values) if n == 0 or values[n - 1] != value]


def _repeats(values: list[str]) -> set[str]:
    return {value for n, value in enumerate(values) if n and values[n - 1] == value}
