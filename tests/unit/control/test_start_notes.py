"""What users are told while a start takes long (ENV-54)."""

from __future__ import annotations

from dataclasses import replace

from runtimes.types import Progress
from tests.unit.control.rig import Rig, job
from ucloud_ray.control.start_notes import Rhythm
from ucloud_ray.domain.job import JobState

FETCHING = "Fetching the image acme/batch:1.0"


def lively(rig: Rig) -> None:
    """Starts tell at once and often."""
    rig.patience = replace(rig.patience, notes=Rhythm(after=0.0, every=0.001, at_most=0.001))


def notes(rig: Rig, id: str) -> list[str]:
    return [text for update in rig.told(id) if (text := update.status or "").startswith("Fetching")]


async def test_a_start_that_takes_long_tells_what_it_does_and_repeats_nothing(rig: Rig) -> None:
    lively(rig)
    life = await rig.start()
    driver = rig.machines.hosts["node-a"].driver
    driver.may_prepare.clear()
    driver.doing = Progress(FETCHING)
    await life.requests.submit([job("41", "run=30ms")])
    await rig.until(lambda: len(life.cluster.called("progress")) > 5, "several looks")
    driver.doing = Progress(FETCHING, "45 % of 1.2 GB")
    await rig.until(lambda: len(notes(rig, "41")) == 2, "the news")
    driver.may_prepare.set()
    await rig.until_state("41", JobState.SUCCESS)
    assert notes(rig, "41") == [f"{FETCHING} on node-a", f"{FETCHING} on node-a: 45 % of 1.2 GB"]
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]
    assert all(update.state is None for update in rig.told("41") if update.status in notes(rig, "41"))


async def test_a_start_that_is_quick_is_not_asked(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=30ms")])
    await rig.until_state("41", JobState.SUCCESS)
    assert life.cluster.called("progress") == []


async def test_ranks_on_one_machine_speak_with_one_voice(rig: Rig) -> None:
    lively(rig)
    life = await rig.start()
    driver = rig.machines.hosts["node-a"].driver
    driver.may_prepare.clear()
    driver.doing = Progress(FETCHING)
    await life.requests.submit([job("41", "run=30ms", replicas=3)])
    await rig.until(lambda: len(life.cluster.called("progress")) > 5, "several looks")
    assert notes(rig, "41") == [f"{FETCHING} on node-a"]
    assert len({call[2] for call in life.cluster.called("progress")}) == 1
    driver.may_prepare.set()
    await rig.until_state("41", JobState.SUCCESS)


async def test_after_the_start_nothing_is_asked_any_more(rig: Rig) -> None:
    lively(rig)
    life = await rig.start()
    driver = rig.machines.hosts["node-a"].driver
    driver.may_prepare.clear()
    await life.requests.submit([job("41", "run=60s")])
    await rig.until(lambda: life.cluster.called("progress"), "a look")
    driver.may_prepare.set()
    await rig.until_state("41", JobState.RUNNING)
    asked = len(life.cluster.called("progress"))
    await rig.quiet()
    assert len(life.cluster.called("progress")) == asked


async def test_words_from_a_machine_cannot_pass_for_commands_of_the_client(rig: Rig) -> None:
    """W2."""
    lively(rig)
    life = await rig.start()
    driver = rig.machines.hosts["node-a"].driver
    driver.may_prepare.clear()
    driver.doing = Progress("Fetching\nTarget: {}", "SSH: Connected!")
    await life.requests.submit([job("41", "run=30ms")])
    await rig.until(lambda: notes(rig, "41"), "the news")
    assert notes(rig, "41") == ["Fetching Target {} on node-a: SSH Connected!"]
    driver.may_prepare.set()
    await rig.until_state("41", JobState.SUCCESS)
