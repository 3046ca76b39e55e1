"""One job from its acceptance to its end, over a real store and scripted machines."""

from __future__ import annotations

from typing import Any

from tests.unit.control.rig import Rig, job, ref
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.job import JobState


async def test_a_batch_job_is_told_in_queue_running_and_its_end_in_this_order_and_nothing_else(rig: Rig) -> None:
    """T1, T2, T5, LC-20, W4."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=30ms", "stdout=started")])
    await rig.until_state("41", JobState.SUCCESS)
    folder = "/home-alice/Jobs/Batch/41"
    assert rig.told("41") == [
        Announce(JobState.IN_QUEUE, texts.WAITING),
        Announce(status=texts.scheduled(("node-a",)), passing=True),
        Announce(JobState.RUNNING, texts.RUNNING, output_folder=folder, expected_different_state=True),
        Announce(JobState.SUCCESS, texts.FINISHED, allow_restart=True, expected_different_state=True),
    ]
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_batch_job_costs_one_call_of_each_kind(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=30ms")])
    await rig.until_state("41", JobState.SUCCESS)
    calls = [call[0] for call in life.cluster.calls if call[0] != "keep_only"]
    assert calls == ["place", "start", "wait", "destroy", "release"]


async def test_the_output_is_in_the_job_folder(rig: Rig) -> None:
    """LOG-15, ENV-2."""
    life = await rig.start()
    await life.requests.submit([job("41", "stdout=hello", "stderr=oh")])
    await rig.until_state("41", JobState.SUCCESS)
    folder = rig.folder / "drives/alice/home/Jobs/Batch/41"
    assert (folder / "stdout-0.log").read_text() == "hello\n"
    assert (folder / "stderr-0.log").read_text() == "oh\n"


async def test_a_strict_provider_tells_failure_with_the_exit_code(rig: Rig) -> None:
    """LC-11."""
    rig.rules = type(rig.rules)(exit_code_policy="strict")
    life = await rig.start()
    await life.requests.submit([job("41", "exit=3")])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1].status == "The job has finished processing! (exit code 3)"


async def test_nothing_is_remembered_of_a_job_that_is_over(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job(str(number), time_allocation=3_600_000) for number in range(6)])
    for number in range(6):
        await rig.until_state(str(number), JobState.SUCCESS)
    supervisor = life.supervisor
    await rig.until(lambda: not _remembered(supervisor), "nothing to be remembered")
    assert (await life.requests.view(ref("3"))).state is JobState.SUCCESS


def _remembered(supervisor: Any) -> dict[str, Any]:
    """Every collection of the parts that is keyed by job and not empty."""
    engine, scheduler, timers = supervisor.engine, supervisor.scheduler, supervisor.timers
    kept = {
        "live": engine._live,
        "by id": engine._by_id,
        "effects": engine._performer._running,
        "waiting": scheduler._waiting,
        "untold": scheduler._untold,
        "pausing": scheduler._pausing,
        "commented": scheduler.news._said or scheduler.news._seen,
        "held": scheduler.ledger._held,
        "versions": supervisor.versions._numbers,
        "watchers": supervisor.versions._waiting,
        "due": timers._due,
        "addresses": scheduler.addresses._of_job,
        "linked": supervisor.fabric._links._live,
        "names": supervisor.fabric._told,
    }
    return {name: value for name, value in kept.items() if value}
