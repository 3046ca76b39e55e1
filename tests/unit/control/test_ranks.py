"""Jobs of several ranks: all at once or none, and the first end is the end (LC-5 to LC-7, SCH-11)."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.control.rig import Rig, job
from ucloud_ray.domain.job import JobState


async def test_all_ranks_run_before_running_is_told_and_share_one_folder(rig: Rig) -> None:
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=40ms", "stdout=started", replicas=3)])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]
    assert [rig.starts(uid, rank) for rank in range(3)] == [1, 1, 1]
    folder = rig.folder / "drives/alice/home/Jobs/Batch/41"
    assert sorted(path.name for path in folder.glob("stdout-*")) == [f"stdout-{rank}.log" for rank in range(3)]
    await rig.until_nothing_is_left()


async def test_a_job_that_does_not_fit_whole_reserves_nothing(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever", replicas=6)])
    await rig.until_state("1", JobState.RUNNING)
    await life.requests.submit([job("2", "run=forever", replicas=3)])
    await rig.until(lambda: len(rig.told("2")) == 2, "the text that there is no room")
    assert len(await rig.machines.tasks()) == 6
    assert len(rig.machines.reservations) == 1
    assert len(life.cluster.called("place")) == 1


async def test_when_one_rank_ends_the_others_are_stopped_after_the_linger(rig: Rig) -> None:
    """LC-7."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2)])
    await rig.until_state("41", JobState.RUNNING)
    [host] = {host for host, _ in await rig.machines.tasks()}
    rig.machines.end_task(host, "j-41-job-1")
    await rig.until_state("41", JobState.SUCCESS)
    stopped = [call[2].name for call in life.cluster.called("stop")]
    assert stopped == ["j-41-job-0"]
    await rig.until_nothing_is_left()


async def test_a_failed_start_of_one_rank_ends_the_others(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", "fail-start:1", replicas=2)])
    # Faults are counted per task, so that both ranks fail; the first report ends the job.
    await rig.until_state("41", JobState.FAILURE)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.FAILURE]
    await rig.until_nothing_is_left()


async def test_that_the_job_does_not_see_its_opened_file_is_told_once_and_it_runs(rig: Rig) -> None:
    """RES-24."""
    life = await rig.start()
    new = job("41", "run=20ms", replicas=2)
    launch = replace(new.spec.launch, unseen_file="/99/x.txt")
    await life.requests.submit([replace(new, spec=replace(new.spec, launch=launch))])
    await rig.until_state("41", JobState.SUCCESS)
    told = "Your job does not see the file /99/x.txt that it was to open; add its folder to the job's files"
    assert rig.told_texts("41").count(told) == 1
