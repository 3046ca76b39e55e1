"""What the Core believes of jobs is compared with what we know, and put right once (REC-12 to REC-14, O3, W12)."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.control.rig import CREATED, Rig, job, ref
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.events import StopCause, StopRequested
from ucloud_ray.domain.job import JobState

HOUR = 3_600_000
GONE = Announce(JobState.FAILURE, texts.UNKNOWN_JOB, expected_different_state=True)


async def test_an_unknown_job_is_told_once_however_often_it_is_asked_about(rig: Rig) -> None:
    """REC-12: while the Core is away, each question must not make the outbox longer."""
    life = await rig.start()
    rig.updates.down = True
    for _ in range(5):
        await life.requests.verify([(ref("42"), JobState.RUNNING), (ref("42"), JobState.RUNNING)])
    assert len(await rig.store.pending_updates()) == 1
    rig.updates.come_up()
    await rig.until(lambda: rig.told("42"), "the update")
    assert rig.told("42") == [GONE]


@pytest.mark.parametrize("id", ["", " ", "4/2", "../42", "a\0b", "9" * 65, "42\n"])
async def test_an_id_that_no_job_can_have_is_passed_over(rig: Rig, id: str) -> None:
    life = await rig.start()
    await life.requests.verify([(ref(id), JobState.RUNNING), (ref("43"), JobState.RUNNING)])
    await rig.until(lambda: rig.told("43"), "the one that can exist")
    assert rig.told(id) == []


@pytest.mark.parametrize("believed", [JobState.SUCCESS, JobState.EXPIRED, JobState.SUSPENDED])
async def test_an_unknown_job_that_is_over_or_put_aside_is_let_be(rig: Rig, believed: JobState) -> None:
    """REC-12. The Core puts one final state in the place of another (LC-17)."""
    life = await rig.start()
    await life.requests.verify([(ref("42"), believed)])
    await rig.quiet()
    assert await rig.store.pending_updates() == []
    assert rig.updates.accepted == []


async def test_a_job_that_was_given_up_silently_is_told_to_be_gone_when_the_core_asks(rig: Rig) -> None:
    """REC-9, REC-12: the Core knows it after all, and would wait for ever."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.supervisor.engine.settle(uid, StopRequested(StopCause.FORGOTTEN))
    await rig.until(lambda: not life.supervisor.engine.jobs(), "the job to be over")
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]
    await life.requests.verify([(ref("41"), JobState.RUNNING)])
    await rig.until_state("41", JobState.FAILURE)
    assert rig.told("41")[-1] == GONE


async def test_a_job_that_was_given_up_silently_is_run_when_it_is_created_again(rig: Rig) -> None:
    """11.4: an answer that it is accepted would be a lie."""
    life = await rig.start()
    [old] = await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.supervisor.engine.settle(old, StopRequested(StopCause.FORGOTTEN))
    await rig.until(lambda: not life.supervisor.engine.jobs(), "the job to be over")
    [new] = await life.requests.submit([job("41", "run=forever")])
    assert new != old
    await rig.until(lambda: rig.states("41").count(JobState.RUNNING) == 2, "the second one to run")


async def test_a_question_about_an_older_job_of_the_same_id_does_not_reach_the_newer_one(rig: Rig) -> None:
    """O3: an update names a job by its id alone."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", created_at=CREATED + 1)])
    await rig.until_state("41", JobState.RUNNING)
    await rig.updates.told(uid)
    told = rig.told("41")
    await life.requests.verify([(ref("41", CREATED), JobState.RUNNING), (ref("41", CREATED), JobState.IN_QUEUE)])
    await rig.updates.told(uid)
    assert rig.told("41") == told
    assert await rig.store.pending_updates() == []


async def test_a_job_that_never_reached_us_is_unknown_although_an_older_one_had_its_id(rig: Rig) -> None:
    """O3, REC-12."""
    life = await rig.start()
    await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    await life.requests.verify([(ref("41", CREATED + 1), JobState.IN_QUEUE)])
    await rig.until_state("41", JobState.FAILURE)


async def test_an_end_that_the_core_does_not_know_is_repeated_once(rig: Rig) -> None:
    """REC-13."""
    life = await rig.start()
    await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    told = rig.told("41")
    rig.updates.down = True
    for _ in range(3):
        await life.requests.verify([(ref("41"), JobState.RUNNING)])
    assert len(await rig.store.pending_updates()) == 1
    rig.updates.come_up()
    await rig.until(lambda: len(rig.told("41")) == len(told) + 1, "the end once more")
    assert rig.told("41")[-1].expected_different_state


async def test_a_job_in_the_hands_of_create_is_known(rig: Rig) -> None:
    """REC-14."""
    life = await rig.start()
    async with life.requests._admission.hold(ref("42").id):
        await asyncio.wait_for(life.requests.verify([(ref("42"), JobState.IN_QUEUE)]), 5)
    await rig.quiet()
    assert rig.told("42") == []


async def test_after_a_refusal_the_state_is_told_again_in_order_with_the_end(rig: Rig) -> None:
    """W12, LC-1: never after the final state, and never in the place of it."""
    life = await rig.start(lambda cluster: cluster.hold("stop"))
    await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    with pytest.raises(BadRequest, match="virtual machines"):
        await life.requests.suspend([ref("41")])
    await rig.until(lambda: len(rig.states("41")) == 3, "the state once more")
    assert rig.told("41")[-1] == Announce(
        JobState.RUNNING, texts.RUNNING, output_folder=rig.told("41")[-1].output_folder
    )
    rig.updates.down = True
    await life.requests.terminate([ref("41")])
    with pytest.raises(BadRequest, match="about to end"):
        await life.requests.extend([(ref("41"), HOUR)])
    life.cluster.let_go("stop")
    await rig.until_nothing_is_left()
    rig.updates.come_up()
    await rig.until_state("41", JobState.SUCCESS)
    running, cancelling = JobState.RUNNING, JobState.CANCELING
    assert rig.states("41") == [JobState.IN_QUEUE, running, running, cancelling, JobState.SUCCESS]


async def test_a_running_job_can_be_extended_while_no_machine_runs_its_kind(rig: Rig) -> None:
    """TIME-7: what was sold does not depend on whether Docker answers at the moment."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", time_allocation=HOUR)])
    await rig.until_state("41", JobState.RUNNING)
    for host in rig.machines.hosts.values():
        host.backends = frozenset()
    await life.supervisor.scheduler.look()
    assert not any(flags.enabled for product in await life.requests.support() for flags in product.backends.values())
    await life.requests.extend([(ref("41"), HOUR)])
    found = life.supervisor.engine.live(uid)
    assert found is not None
    assert found.times.allocation == 2 * HOUR
