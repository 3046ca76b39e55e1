"""Unknown is not dead (D4): stores, machines and runtimes that fail for a while, or for longer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.support.wait import async_wait_until
from tests.unit.control.rig import Rig, job, ref
from ucloud_ray.domain import texts
from ucloud_ray.domain.job import JobState

WHOLE_LIFE = [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]


async def test_while_the_store_fails_nothing_is_done_and_afterwards_nothing_is_lost(rig: Rig) -> None:
    """D2: decided, written, and only then done."""
    life = await rig.start(lambda cluster: cluster.hold("place"))
    [uid] = await life.requests.submit([job("41", "run=20ms", "stdout=started")])
    await rig.until(lambda: life.cluster.called("place"), "the placement to be asked for")
    life.store.fail("commit")
    life.cluster.let_go("place")
    await rig.until(lambda: rig.machines.reservations, "the placement")
    await rig.quiet()
    assert not life.cluster.called("start")
    assert rig.states("41") == [JobState.IN_QUEUE]
    life.store.mend()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert rig.starts(uid) == 1


async def test_an_end_that_comes_while_the_store_fails_is_told_afterwards(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=40ms")])
    await rig.until_state("41", JobState.RUNNING)
    life.store.fail("commit", times=5)
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    await rig.until_nothing_is_left()


async def test_a_machine_that_comes_back_within_the_grace_has_lost_nothing(rig: Rig) -> None:
    """SCH-16."""
    rig.patience = replace(rig.patience, host_grace=30)
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until_state("41", JobState.RUNNING)
    rig.machines.lose("node-a")
    await rig.until(lambda: len(life.cluster.called("wait")) > 2, "the machine to be looked for")
    assert rig.states("41") == WHOLE_LIFE[:2]
    rig.machines.bring_back("node-a")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_machine_that_stays_away_fails_its_jobs_and_stops_their_other_ranks(rig: Rig) -> None:
    """SCH-16, LC-12."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=5)])
    await rig.until_state("41", JobState.RUNNING)
    hosts = (await life.requests.view(ref("41"))).hosts
    assert set(hosts) == {"node-a", "node-b"}
    rig.machines.lose("node-a")
    await rig.until_state("41", JobState.FAILURE)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.FAILURE]
    assert rig.told("41")[-1].status == texts.MACHINE_LOST
    assert {host for host, _ in await rig.machines.tasks()} == {"node-a"}, "what it ran, goes on unseen"
    assert not rig.machines.reservations


async def test_the_grace_of_a_lost_machine_is_waited_for_once(rig: Rig) -> None:
    """Not once more for the clean-up."""
    rig.patience = replace(rig.patience, retry_most=0.2)  # a busy machine may not make an absence look like two
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    rig.machines.lose("node-a")
    await rig.until_state("41", JobState.FAILURE)
    before_the_end = [
        call[0] for call in life.cluster.calls[: [call[0] for call in life.cluster.calls].index("release")]
    ]
    assert before_the_end.count("destroy") == 1, "it is tried again later, for when the machine returns"


async def test_what_a_machine_that_returns_still_runs_is_taken_away_at_the_same_time(rig: Rig) -> None:
    """ENV-59: one task that is hard to end does not keep the others, which may be hundreds."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=4)])
    await rig.until_state("41", JobState.RUNNING)
    rig.machines.lose("node-a")
    await rig.until_state("41", JobState.FAILURE)
    life.cluster.hold("destroy")
    before = len(life.cluster.called("destroy"))
    rig.machines.bring_back("node-a")
    await rig.until(lambda: len(life.cluster.called("destroy")) >= before + 4, "every task to be asked to go")
    life.cluster.let_go("destroy")

    async def nothing_is_left() -> bool:
        return await rig.machines.tasks() == []

    await async_wait_until(nothing_is_left, "every task to be gone")


async def test_a_runtime_that_does_not_answer_keeps_the_state(rig: Rig) -> None:
    """D4."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=10ms", "runtime-down:4")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert len(life.cluster.called("wait")) == 5


async def test_a_start_whose_answer_is_lost_starts_once(rig: Rig) -> None:
    """REC-3."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=10ms", "stdout=started", "lose-reply:2")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.starts(uid) == 1
    assert len(life.cluster.called("start")) == 3


async def test_a_task_that_its_runtime_does_not_know_is_given_up_after_the_grace(rig: Rig) -> None:
    """REC-4."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", "vanish=10ms")])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1].status == texts.MACHINE_LOST
    assert len(life.cluster.called("wait")) > 3, "a listing may be stale: it was looked for again"
    await rig.until_nothing_is_left()


async def test_a_start_that_can_never_work_fails_the_job_at_once(rig: Rig) -> None:
    """T4."""
    life = await rig.start()
    await life.requests.submit([job("41", "image-missing")])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.FAILURE]
    assert rig.told("41")[-1].status == texts.not_started("there is no image of this name")
    assert len(life.cluster.called("start")) == 1
    await rig.until_nothing_is_left()


async def test_a_start_that_may_work_later_is_tried_again_from_the_queue(rig: Rig) -> None:
    """SCH-11."""
    for host in rig.machines.hosts.values():
        host.driver.failures = 1
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=10ms", "stdout=started")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert [call[2].incarnation for call in life.cluster.called("start")] == [f"{uid}.{n}" for n in (1, 2, 3)]
    assert len({call[1] for call in life.cluster.called("start")[:2]}) == 2, "the second attempt took the other machine"
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_start_is_not_tried_for_ever(rig: Rig) -> None:
    """SCH-11: bounded, then FAILURE."""
    life = await rig.start()
    await life.requests.submit([job("41", "image-unavailable")])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1].status == texts.not_started("the registry does not answer")
    assert len(life.cluster.called("start")) == rig.rules.max_start_attempts
    await rig.until_nothing_is_left()


async def test_a_runtime_that_is_down_during_a_start_is_waited_for(rig: Rig) -> None:
    rig.patience = replace(rig.patience, start=30)
    rig.machines.switch_runtime("node-a", on=False)
    rig.machines.switch_runtime("node-b", on=False)
    life = await rig.start()
    await life.requests.submit([job("41", "run=10ms")])
    await rig.until(lambda: len(life.cluster.called("start")) > 2, "several attempts")
    for host in rig.machines.hosts:
        rig.machines.switch_runtime(host, on=True)
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE


async def test_a_folder_that_cannot_be_made_fails_the_job_with_the_reason(rig: Rig) -> None:
    (rig.folder / "drives/alice/home").mkdir(parents=True)
    (rig.folder / "drives/alice/home/Jobs").write_text("a file where the folder should be")
    life = await rig.start()
    await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1].status == texts.not_started("its folder cannot be made (Not a directory)")
    assert not life.cluster.called("start")
    await rig.until_nothing_is_left()


async def test_an_effect_that_fails_in_an_unforeseen_way_is_tried_again(rig: Rig) -> None:
    life = await rig.start(lambda cluster: cluster.broken.update(wait=RuntimeError("not foreseen")))
    await life.requests.submit([job("41", "run=10ms")])
    await rig.until(lambda: len(life.cluster.called("wait")) > 2, "several attempts")
    life.cluster.broken.clear()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE


async def test_an_effect_that_is_not_wanted_any_more_is_not_tried_again(rig: Rig) -> None:
    rig.patience = replace(rig.patience, retry_most=0.1)
    life = await rig.start(lambda cluster: cluster.broken.update(start=RuntimeError("not foreseen")))
    await life.requests.submit([job("41", "run=forever")])
    await rig.until(lambda: life.cluster.called("start"), "the attempt")
    life.cluster.hold("release")
    await life.requests.terminate([ref("41")])
    await rig.until(lambda: life.cluster.called("release"), "the clean-up")
    life.cluster.broken.clear()
    await asyncio.sleep(0.15)  # that the moment of a second attempt passes unused has no sign to wait for
    assert len(life.cluster.called("start")) == 1
    life.cluster.let_go("release")
    await rig.until_nothing_is_left()
