"""Termination in every phase: it always ends the job and never leaves anything running (REC-18, ENV-57)."""

from __future__ import annotations

import asyncio

from tests.unit.control.rig import CREATED, Rig, job, ref
from ucloud_ray.control.ports import ClusterUnavailable
from ucloud_ray.domain import texts
from ucloud_ray.domain.events import Tick
from ucloud_ray.domain.job import JobState

STOPPED_EARLY = [JobState.IN_QUEUE, JobState.CANCELING, JobState.SUCCESS]
STOPPED = [JobState.IN_QUEUE, JobState.RUNNING, JobState.CANCELING, JobState.SUCCESS]


async def test_a_job_in_the_queue_is_stopped_without_touching_a_machine(rig: Rig) -> None:
    life = await rig.start(lambda cluster: setattr(cluster, "full", True))
    await life.requests.submit([job("41", "run=forever")])
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == STOPPED_EARLY
    assert not [call for call in life.cluster.calls if call[0] not in ("place", "release", "keep_only")]
    await rig.until_nothing_is_left()


async def test_a_job_that_is_being_placed_gives_the_placement_back(rig: Rig) -> None:
    life = await rig.start(lambda cluster: cluster.hold("place"))
    await life.requests.submit([job("41", "run=forever")])
    await rig.until(lambda: life.cluster.called("place"), "the placement to be asked for")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    life.cluster.let_go("place")
    await rig.until(lambda: len(life.cluster.called("release")) == 2, "the late placement to be given back")
    assert rig.states("41") == STOPPED_EARLY
    assert not life.cluster.called("start")
    await rig.until_nothing_is_left()


async def test_a_start_whose_preparation_hangs_is_stopped_at_once(rig: Rig) -> None:
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.clear()
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until(lambda: life.cluster.called("start"), "the start")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.set()
    await rig.quiet()
    assert rig.states("41") == STOPPED_EARLY
    assert rig.starts(uid) == 0
    await rig.until_nothing_is_left()


async def test_a_start_that_hangs_is_stopped(rig: Rig) -> None:
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started", "stall-start")])
    await rig.until(lambda: life.cluster.called("start"), "the start")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.starts(uid) == 0
    await rig.until_nothing_is_left()


async def test_a_start_that_overtakes_the_stop_leaves_nothing(rig: Rig) -> None:
    """The call of the start is still on its way when the job is stopped."""
    life = await rig.start(lambda cluster: cluster.hold("start"))
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until(lambda: life.cluster.called("start"), "the start")
    await life.requests.terminate([ref("41")])
    life.cluster.let_go("start")
    await rig.until_state("41", JobState.SUCCESS)
    await rig.quiet()
    assert rig.starts(uid) == 0
    await rig.until_nothing_is_left()


async def test_a_running_job_gets_its_grace_and_is_told_canceling_before_the_end(rig: Rig) -> None:
    """LC-4, ENV-42."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", "goodbye=bye")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == STOPPED
    assert rig.told("41")[-1].status == texts.CANCELLED
    [(_, _, _, grace)] = life.cluster.called("stop")
    assert grace == rig.rules.stop_grace / 1000
    assert (rig.folder / "drives/alice/home/Jobs/Batch/41/stdout-0.log").read_text() == "bye\n"
    await rig.until_nothing_is_left()


async def test_a_program_that_ignores_the_signal_is_killed(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", "ignore-term")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    await rig.until_nothing_is_left()


async def test_terminating_twice_is_terminating_once(rig: Rig) -> None:
    """11.4."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await asyncio.gather(life.requests.terminate([ref("41")]), life.requests.terminate([ref("41"), ref("41")]))
    await rig.until_state("41", JobState.SUCCESS)
    await life.requests.terminate([ref("41")])
    await rig.quiet()
    assert rig.states("41") == STOPPED
    assert len(life.cluster.called("stop")) == 1


async def test_an_unknown_job_is_terminated_without_a_trace(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.terminate([ref("no such job"), ref("41", created_at=None)])
    await rig.quiet()
    assert rig.updates.accepted == []


async def test_what_happens_to_a_job_that_is_over_is_ignored(rig: Rig) -> None:
    """LC-1."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    life.supervisor.forget(uid)
    life.supervisor.engine.post(uid, Tick())
    assert await life.supervisor.engine.settle(uid, Tick()) is None
    await rig.quiet()
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]


async def test_an_order_for_another_job_of_the_same_id_does_not_stop_this_one(rig: Rig) -> None:
    """O3."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.terminate([ref("41", created_at=CREATED + 1)])
    await rig.quiet()
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]
    assert not life.cluster.called("stop")


async def test_a_job_is_stopped_that_is_still_being_accepted(rig: Rig) -> None:
    """REC-18: terminate during create."""
    life = await rig.start()
    creating = asyncio.create_task(life.requests.submit([job("41", "run=forever")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await life.requests.terminate([ref("41")])
    await creating
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == STOPPED_EARLY
    await rig.until_nothing_is_left()


async def test_a_machine_that_does_not_answer_keeps_the_job_in_canceling(rig: Rig) -> None:
    """D4: unknown is not dead."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    rig.machines.switch_runtime("node-a", on=False)
    await life.requests.terminate([ref("41")])
    await rig.until(lambda: len(life.cluster.called("stop")) > 3, "several attempts")
    assert rig.states("41") == STOPPED[:-1]
    rig.machines.switch_runtime("node-a", on=True)
    await rig.until_state("41", JobState.SUCCESS)
    await rig.until_nothing_is_left()


async def test_a_placement_that_cannot_be_given_back_at_first_is_given_back_later(rig: Rig) -> None:
    """The scheduler survives a cluster that goes away between a placement and its return."""
    life = await rig.start(lambda cluster: cluster.hold("place"))
    await life.requests.submit([job("41", "run=forever")])
    await rig.until(lambda: life.cluster.called("place"), "the placement to be asked for")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    life.cluster.broken["release"] = ClusterUnavailable("for now")
    life.cluster.let_go("place")
    await rig.until(lambda: len(life.cluster.called("release")) > 1, "the attempt to give it back")
    life.cluster.broken.clear()
    await rig.until_nothing_is_left()
    await life.requests.submit([job("42", "run=10ms")])
    await rig.until_state("42", JobState.SUCCESS)
