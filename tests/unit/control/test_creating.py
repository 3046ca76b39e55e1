"""Taking jobs in: once, all or none, and on disk before the answer (REC-16 to REC-18, 11.4, O3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.control.rig import CREATED, Rig, job, ref, spec
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.ports import Change, OutboxRow
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain.events import Tick
from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId
from ucloud_ray.domain.job import Final, JobState, MountRequest


async def test_an_accepted_job_is_on_disk_with_the_document_as_received(rig: Rig) -> None:
    """REC-1."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever")])
    stored = await rig.store.get(uid)
    assert stored is not None
    assert stored.id == "41"
    assert await rig.store.document(uid) == {"id": "41"}


async def test_the_same_job_again_gets_the_same_answer_and_starts_nothing(rig: Rig) -> None:
    """11.4."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until_state("41", JobState.RUNNING)
    assert await life.requests.submit([job("41", "run=forever", "stdout=started")]) == [uid]
    await rig.quiet()
    assert rig.starts(uid) == 1
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]
    assert len(life.supervisor.engine.jobs()) == 1


async def test_the_same_job_many_times_at_once_is_one_job(rig: Rig) -> None:
    life = await rig.start()
    answers = await asyncio.gather(*(life.requests.submit([job("41", "run=forever")]) for _ in range(10)))
    assert len({uid for [uid] in answers}) == 1
    assert len(life.supervisor.engine.jobs()) == 1
    await rig.until_state("41", JobState.RUNNING)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING]
    assert not life.requests._admission._locks


async def test_a_job_that_ended_is_answered_again_and_its_end_is_repeated(rig: Rig) -> None:
    """11.4, REC-13: the Core that asks does not know the end."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    before = rig.told("41")
    assert await life.requests.submit([job("41")]) == [uid]
    await rig.until(lambda: len(rig.told("41")) > len(before), "the end once more")
    assert rig.told("41")[-1] == replace(before[-1], expected_different_state=True)
    assert life.supervisor.engine.jobs() == []


async def test_a_job_that_may_restart_begins_a_new_life_when_it_is_created_again(rig: Rig) -> None:
    """LC-26."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "stdout=started", restart_on_exit=True)])
    await rig.until_state("41", JobState.SUCCESS)
    assert await life.requests.submit([job("41", "stdout=started", restart_on_exit=True)]) == [uid]
    await rig.until(lambda: len(rig.states("41")) == 6, "a second life")
    once = [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]
    assert rig.states("41") == once + once
    assert rig.starts(uid) == 2
    await rig.until_nothing_is_left()


async def test_the_same_id_with_another_time_is_a_new_job_and_the_old_one_is_stopped_silently(rig: Rig) -> None:
    """O3."""
    life = await rig.start()
    [old] = await life.requests.submit([job("41", "run=forever", "stdout=started")])
    await rig.until_state("41", JobState.RUNNING)
    [new] = await life.requests.submit([job("41", "run=forever", "stdout=started", created_at=CREATED + 1)])
    await rig.until(lambda: len(rig.states("41")) == 4, "the new one to run")
    assert new != old
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.RUNNING] * 2
    assert [incarnation for _, incarnation in await rig.machines.tasks()] == [f"{new}.1"]
    assert (rig.starts(old), rig.starts(new)) == (1, 1)
    found = await rig.store.get(old)
    assert isinstance(found.phase, Final)
    assert found.phase.verdict.silent


async def test_an_old_job_of_a_reused_id_is_stopped_although_we_ended_before_it_was(rig: Rig) -> None:
    """O3: a crash between the new job's acceptance and the old one's stop."""
    jobs = [
        lifecycle.accept(
            uid=JobUid(name),
            id=JobId("41"),
            created_at=Millis(CREATED + n),
            spec=spec("run=forever"),
            rules=rig.rules,
            now=rig.clock.now(),
        )[0]
        for n, name in enumerate(("old", "new"))
    ]
    for accepted in jobs:
        await rig.store.commit([Change(accepted, (), {})])
    life = await rig.start()
    await rig.until_state("41", JobState.RUNNING)
    await rig.until(lambda: len(life.supervisor.engine.jobs()) == 1, "the old one to be over")
    assert rig.states("41") == [JobState.RUNNING]
    assert [incarnation for _, incarnation in await rig.machines.tasks()] == ["new.1"]


async def test_a_refused_request_takes_none_of_its_jobs_and_stops_none(rig: Rig) -> None:
    """REC-17."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    told = list(rig.updates.accepted)
    impossible = job("43", machine="whole", replicas=9)
    with pytest.raises(BadRequest, match="more than this provider has"):
        await life.requests.submit([job("42"), job("41", created_at=CREATED + 1), impossible])
    after = await life.supervisor.engine.settle(uid, Tick())
    assert after is not None, "whatever was posted to it before is decided by now"
    assert after.phase.kind == "running"
    assert [found.id for found in life.supervisor.engine.jobs()] == ["41"]
    assert await rig.store.find(ref("42")) is None
    assert rig.updates.accepted == told
    assert not life.cluster.called("stop")


async def test_a_request_that_names_a_job_twice_is_refused(rig: Rig) -> None:
    life = await rig.start()
    with pytest.raises(BadRequest, match="twice"):
        await life.requests.submit([job("41"), job("41", created_at=CREATED + 1)])
    assert life.supervisor.engine.jobs() == []


async def test_several_jobs_are_answered_in_the_order_of_the_request(rig: Rig) -> None:
    life = await rig.start()
    [middle] = await life.requests.submit([job("2", "run=forever")])
    uids = await life.requests.submit([job("3", "run=forever"), job("2", "run=forever"), job("1", "run=forever")])
    assert uids[1] == middle
    assert [(await rig.store.get(uid)).id for uid in uids] == ["3", "2", "1"]


async def test_while_the_store_fails_nothing_is_taken_and_the_caller_is_told(rig: Rig) -> None:
    """REC-17."""
    life = await rig.start()
    life.store.fail("commit", times=1)
    with pytest.raises(NotReady, match="cannot write anything down"):
        await life.requests.submit([job("41", "run=forever")])
    await rig.quiet()
    assert life.supervisor.engine.jobs() == []
    assert not life.cluster.called("place")
    assert await rig.store.find(ref("41")) is None
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)


async def test_a_job_whose_successor_is_not_stored_goes_on(rig: Rig) -> None:
    """REC-17, O3: a request that is refused ends nothing."""
    life = await rig.start()
    [uid] = await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    life.store.fail("commit", times=1)
    with pytest.raises(NotReady):
        await life.requests.submit([job("41", "run=forever", created_at=CREATED + 1)])
    after = await life.supervisor.engine.settle(uid, Tick())
    assert after is not None
    assert after.phase.kind == "running"


async def test_a_job_whose_caller_gave_up_meanwhile_runs_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Core repeats the request, and means the job that is on disk."""
    life = await rig.start()
    commit, on_disk, go_on = life.store.commit, asyncio.Event(), asyncio.Event()

    async def commit_and_dawdle(changes: Sequence[Change]) -> list[OutboxRow]:
        rows = await commit(changes)
        on_disk.set()
        await go_on.wait()
        return rows

    monkeypatch.setattr(life.store, "commit", commit_and_dawdle)
    asking = asyncio.create_task(life.requests.submit([job("41", "run=forever", "stdout=started")]))
    await on_disk.wait()
    asking.cancel()
    await asyncio.wait([asking])
    again = asyncio.create_task(life.requests.submit([job("41", "run=forever", "stdout=started")]))
    go_on.set()
    [uid] = await again
    await rig.until_state("41", JobState.RUNNING)
    assert rig.starts(uid) == 1
    assert len(life.supervisor.engine.jobs()) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"machine": replace(spec().machine, product=ProductId("none", "standard", "example"))}, "not offered"),
        ({"replicas": 9}, "more than this provider has"),
        ({"launch": replace(spec().launch, mounts=(MountRequest("/7/data", "data", False),))}, "not on a drive"),
    ],
)
async def test_what_could_never_run_is_refused(rig: Rig, change: dict[str, object], why: str) -> None:
    """SCH-4, SCH-14, ENV-15."""
    life = await rig.start()
    wrong = job("41")
    with pytest.raises(BadRequest, match=why):
        await life.requests.submit([replace(wrong, spec=replace(wrong.spec, **change))])
    assert life.supervisor.engine.jobs() == []


async def test_a_backend_that_runs_nowhere_is_refused(rig: Rig) -> None:
    """SCH-4."""
    for host in rig.machines.hosts.values():
        host.backends = frozenset()
    life = await rig.start()
    with pytest.raises(BadRequest, match="docker applications"):
        await life.requests.submit([job("41")])


async def test_nothing_is_taken_before_recovery_is_done(rig: Rig) -> None:
    life = rig._new_life()
    for asking in (
        life.requests.submit([job("41")]),
        life.requests.terminate([ref("41")]),
        life.requests.view(ref("41")),
        life.requests.verify([(ref("41"), JobState.RUNNING)]),
    ):
        with pytest.raises(NotReady):
            await asking
