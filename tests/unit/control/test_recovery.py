"""A supervisor that ends without a word, at every point of a job: one start, the right end (REC-2 to REC-5, REC-19).

Each life of the supervisor is a new object over the same store and the same machines.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.local_cluster import LocalCluster
from tests.unit.control.rig import Rig, job, ref
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.operation import Operation
from ucloud_ray.domain import texts, timing
from ucloud_ray.domain.job import JobState

WHOLE_LIFE = [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]


def full(cluster: LocalCluster) -> None:
    cluster.full = True


async def test_a_job_in_the_queue_is_placed_by_the_next_life(rig: Rig) -> None:
    life = await rig.start(full)
    [uid] = await life.requests.submit([job("41", "run=20ms", "stdout=started")])
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    await rig.crash()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_that_there_is_no_room_is_not_said_again_by_the_next_life(rig: Rig) -> None:
    """SCH-13."""
    life = await rig.start(full)
    await life.requests.submit([job("41")])
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    await rig.crash()
    life = await rig.start(full)
    await rig.until(lambda: len(life.cluster.called("place")) > 2, "several rounds")
    assert len(rig.told("41")) == 2


async def test_a_grant_that_was_not_written_down_is_given_back_and_asked_for_again(rig: Rig) -> None:
    life = await rig.start(lambda cluster: cluster.hold("place"))
    [uid] = await life.requests.submit([job("41", "run=20ms", "stdout=started")])
    await rig.until(lambda: life.cluster.called("place"), "the placement to be asked for")
    life.store.fail("commit")
    life.cluster.let_go("place")
    await rig.until(lambda: rig.machines.reservations, "the reservation")
    await rig.crash()
    life = await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert [call[0] for call in life.cluster.calls[:2]] == ["keep_only", "place"]
    assert rig.states("41") == WHOLE_LIFE
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_start_that_never_left_is_made_by_the_next_life(rig: Rig) -> None:
    """Between grant and start."""
    life = await rig.start(lambda cluster: cluster.hold("start"))
    [uid] = await life.requests.submit([job("41", "run=20ms", "stdout=started")])
    await rig.until(lambda: life.cluster.called("start"), "the start")
    await rig.crash()
    assert rig.starts(uid) == 0
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_start_whose_answer_was_lost_is_attached_to(rig: Rig) -> None:
    """REC-3: it runs, and nobody wrote that down."""
    life = await rig.start(lambda cluster: cluster.hold("start"))
    [uid] = await life.requests.submit([job("41", "run=60ms", "stdout=started")])
    await rig.until(lambda: life.cluster.called("start"), "the start")
    life.store.fail("commit")
    life.cluster.let_go("start")
    await rig.until(lambda: rig.starts(uid) == 1, "the workload")
    await rig.crash()
    rig.machines.restart_cluster()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_running_job_is_watched_and_reserved_again_and_not_started(rig: Rig) -> None:
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    rig.machines.restart_cluster()
    life = await rig.start()
    await rig.until(lambda: rig.machines.reservations, "the reservation once more")
    assert (await life.requests.view(ref("41"))).state is JobState.RUNNING
    assert await Operation(life.supervisor).watched() == {"ranks": 1, "watched": 1}
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert not life.cluster.called("start")
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.CANCELING, JobState.SUCCESS]
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_running_job_keeps_its_room_from_others_after_a_restart(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever", machine="whole"), job("2", "run=forever", machine="whole")])
    await rig.until_state("2", JobState.RUNNING)
    await rig.crash()
    life = await rig.start()
    await life.requests.submit([job("3", "run=forever")])
    await rig.until(lambda: len(rig.told("3")) == 2, "the text that there is no room")
    assert {call[1] for call in life.cluster.called("place")} == {uid for uid, _ in rig.machines.reservations}
    assert len(await rig.machines.tasks()) == 2


async def test_a_job_that_ended_meanwhile_is_told_with_its_own_end(rig: Rig) -> None:
    rig.rules = replace(rig.rules, exit_code_policy="strict")
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=30ms", "exit=3", "stdout=started")])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    await asyncio.sleep(0.03)  # the workload's own time, which nobody watches
    await rig.start()
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1].status == "The job has finished processing! (exit code 3)"
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


@pytest.mark.parametrize("stuck", ["destroy", "release"])
async def test_a_clean_up_is_finished_by_the_next_life(rig: Rig, stuck: str) -> None:
    """REC-19: the same reason is told."""
    life = await rig.start(lambda cluster: cluster.hold(stuck))
    [uid] = await life.requests.submit([job("41", "run=10ms", "stdout=started")])
    await rig.until(lambda: life.cluster.called(stuck), stuck)
    assert JobState.SUCCESS not in rig.states("41"), "not before nothing is held (LC-19)"
    await rig.crash()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE
    assert rig.told("41")[-1].status == texts.FINISHED
    assert rig.starts(uid) == 1
    await rig.until_nothing_is_left()


async def test_a_stop_is_finished_by_the_next_life(rig: Rig) -> None:
    life = await rig.start(lambda cluster: cluster.hold("stop"))
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.terminate([ref("41")])
    await rig.crash()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.CANCELING, JobState.SUCCESS]
    assert rig.told("41")[-1].status == texts.CANCELLED
    await rig.until_nothing_is_left()


async def test_what_the_core_was_not_told_is_told_by_the_next_life(rig: Rig) -> None:
    """REC-7."""
    life = await rig.start()
    rig.updates.down = True
    await life.requests.submit([job("41")])
    await rig.until(lambda: not life.supervisor.engine.jobs(), "the job to be over")
    assert rig.told("41") == []
    await rig.crash()
    await rig.forget_updates()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == WHOLE_LIFE


async def test_the_deadline_passes_also_while_nobody_is_there(rig: Rig) -> None:
    """TIME-11: and what it ran meanwhile is its time, too."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=3_600_000)])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    rig.clock.shift += 2 * 3_600_000
    await rig.start()
    await rig.until_state("41", JobState.EXPIRED)
    ended = await rig.store.find(ref("41"))
    assert ended.times.ran >= 2 * 3_600_000
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING, JobState.EXPIRED]
    await rig.until_nothing_is_left()


async def test_who_ended_before_the_deadline_has_not_expired_although_nobody_looked_until_after_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TIME-10, conformance points 11 and 18: nothing was stopped, it was over by itself."""
    monkeypatch.setattr(timing, "ACCURACY", 100)
    life = await rig.start(lambda cluster: cluster.hold("wait"))
    await life.requests.submit([job("41", "run=400ms", "exit=3", time_allocation=600)])
    running = await rig.until_phase("41", "running")
    await rig.crash()
    await rig.until(lambda: timing.expired(running, rig.clock.now()), "its deadline, while nobody is there")
    await rig.start()
    await rig.until(lambda: len(rig.states("41")) == 3, "its end")
    assert rig.states("41") == WHOLE_LIFE
    assert rig.told("41")[-1].status == "The job has finished processing! (exit code 3)"
    await rig.until_nothing_is_left()


async def test_nothing_is_answered_or_begun_before_every_job_is_loaded_and_attached(rig: Rig) -> None:
    """REC-5: load, attach again, deadlines, and only then answers and new work."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", time_allocation=3_600_000), job("42", "run=forever")])
    for name in ("41", "42"):
        await rig.until_state(name, JobState.RUNNING)
    await rig.crash()
    rig.clock.shift += 3_600_000
    life = rig._new_life()
    life.cluster.hold("nodes")
    starting = asyncio.create_task(life.supervisor.start())
    await rig.until(lambda: len(life.supervisor.engine.jobs()) == 2, "both to be loaded")
    for refused in (
        life.requests.submit([job("43")]),
        life.requests.terminate([ref("41")]),
        life.requests.extend([(ref("41"), 1)]),
        life.requests.verify([(ref("41"), JobState.RUNNING)]),
        life.requests.view(ref("41")),
    ):
        with pytest.raises(NotReady):
            await refused
    assert life.cluster.calls == []
    life.cluster.let_go("nodes")
    await starting
    await life.requests.submit([job("43", "run=forever")])
    await rig.until_state("41", JobState.EXPIRED)
    await rig.until_state("43", JobState.RUNNING)
    assert [call[0] for call in life.cluster.calls].index("wait") < [call[0] for call in life.cluster.calls].index(
        "start"
    )


async def test_a_job_that_ends_while_it_is_reserved_again_leaves_no_reservation(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    rig.machines.restart_cluster()
    life = await rig.start(lambda cluster: cluster.hold("place"))
    await rig.until(lambda: life.cluster.called("place"), "the reservation to be asked for")
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    life.cluster.let_go("place")
    await rig.until(lambda: len(life.cluster.called("release")) == 2, "the late reservation to be given back")
    await rig.until_nothing_is_left()


async def test_a_cluster_that_is_away_at_the_start_is_waited_for(rig: Rig) -> None:
    life = await rig.start(lambda cluster: setattr(cluster, "unavailable", True))
    assert (await life.requests.status())["ready"]
    await rig.until(lambda: len(life.cluster.called("keep_only")) > 1, "several attempts")
    life.cluster.unavailable = False
    await life.supervisor.scheduler.look()
    await life.requests.submit([job("41", "run=10ms")])
    await rig.until_state("41", JobState.SUCCESS)


async def test_a_closed_supervisor_does_nothing_more(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.supervisor.close()
    calls = list(life.cluster.calls)
    life.supervisor.forget((await rig.store.find(ref("41"))).uid)
    await rig.quiet()
    assert life.cluster.calls == calls
    stored = await rig.store.find(ref("41"))
    assert stored.phase.kind == "running"
    assert len(await rig.machines.tasks()) == 1
    with pytest.raises(NotReady):
        await life.requests.submit([job("42")])
