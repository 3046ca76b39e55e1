"""What is to be told waits on disk, in order, until it is acknowledged (D10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from tests.contract.store.jobs import a_job, ended
from ucloud_ray.control.ports import Change
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, Millis
from ucloud_ray.domain.job import JobState
from ucloud_ray.store import SqlJobStore, open_store

RUNNING = Announce(
    state=JobState.RUNNING,
    status="runs",
    output_folder="/1/x",
    new_time_allocation=5,
    allow_restart=False,
    expected_different_state=True,
)
SUCCESS = Announce(state=JobState.SUCCESS, status="ended")


async def test_updates_come_back_whole_and_in_the_order_of_the_decisions(store: SqlJobStore) -> None:
    one, two = a_job("1"), a_job("2")
    first = await store.commit([Change(one, (RUNNING, SUCCESS)), Change(two, (RUNNING,))])
    second = await store.commit([Change(one, (Announce(status="text"),))])
    rows = first + second
    assert await store.pending_updates() == rows
    assert [(row.uid, row.job_id, row.update) for row in rows] == [
        (one.uid, "1", RUNNING),
        (one.uid, "1", SUCCESS),
        (two.uid, "2", RUNNING),
        (one.uid, "1", Announce(status="text")),
    ]
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})


async def test_only_what_is_acknowledged_goes(store: SqlJobStore) -> None:
    rows = await store.commit([Change(a_job(), (RUNNING, SUCCESS))])
    await store.acknowledge([])
    await store.acknowledge([rows[0].seq, 10**9])
    assert await store.pending_updates() == rows[1:]


async def test_any_number_of_updates_is_acknowledged_at_once(store: SqlJobStore) -> None:
    rows = await store.commit([Change(a_job(str(n)), (RUNNING,)) for n in range(1_200)])
    await store.acknowledge([row.seq for row in rows])
    assert await store.pending_updates() == []


async def test_a_number_is_never_given_twice(url: str) -> None:
    """A late acknowledgement of an old update must not hit a new one."""
    first = await open_store(url)
    rows = await first.commit([Change(a_job("1"), (RUNNING,))])
    await first.acknowledge([rows[0].seq])
    await first.close()
    second = await open_store(url)
    later = await second.commit([Change(a_job("2"), (RUNNING,))])
    assert later[0].seq > rows[0].seq
    await second.close()


async def test_an_update_for_a_job_that_we_do_not_know_waits_too(store: SqlJobStore) -> None:
    """REC-12."""
    row = await store.enqueue(JobId("77"), SUCCESS, Millis(12))
    assert (row.uid, row.job_id, row.update, row.at) == (None, "77", SUCCESS, 12)
    assert await store.pending_updates() == [row]
    assert await store.active_jobs() == []


async def test_of_mere_texts_the_newest_64_of_each_job_are_kept(store: SqlJobStore) -> None:
    """REC-22."""
    job, other = a_job("1"), a_job("2")
    await store.commit([Change(other, (Announce(status="other"),))])
    await store.commit([Change(job, (RUNNING, Announce(status="folder", output_folder="/1/x")))])
    for n in range(70):
        await store.commit([Change(job, (Announce(status=str(n)),))])
    texts = [row.update.status for row in await store.pending_updates()]
    assert texts == ["other", "runs", "folder", *(str(n) for n in range(6, 70))]


async def test_updates_of_a_job_that_lost_its_id_never_reach_the_new_owner(store: SqlJobStore) -> None:
    """O3: the Core means another job by the id now."""
    old, new = a_job("105", created_at=1), a_job("105", created_at=2)
    await store.commit([Change(old, (RUNNING,))])
    await store.enqueue(JobId("105"), SUCCESS, Millis(1))
    rows = await store.commit([Change(new, (RUNNING,))])
    assert await store.commit([Change(ended(old), (SUCCESS,))]) == []
    assert await store.pending_updates() == rows
    assert await store.get(old.uid) == ended(old)


async def test_concurrent_commits_all_arrive(store: SqlJobStore) -> None:
    jobs = [a_job(str(n)) for n in range(50)]
    answers = await asyncio.gather(*(store.commit([Change(job, (RUNNING, SUCCESS))]) for job in jobs))
    assert [answer[0].job_id for answer in answers] == [job.id for job in jobs]
    assert await store.pending_updates() == [row for answer in answers for row in answer]
    assert await store.active_jobs() == jobs


async def test_concurrent_commits_share_transactions(store: SqlJobStore) -> None:
    """A flush of the disk is what a commit costs; a crowd of jobs must not pay it one by one."""
    flushes: list[object] = []
    count = flushes.append
    event.listen(Engine, "commit", count)
    try:
        await asyncio.gather(*(store.commit([Change(a_job(str(n)), (RUNNING,))]) for n in range(50)))
    finally:
        event.remove(Engine, "commit", count)
    assert len(flushes) <= 10
    assert len(await store.pending_updates()) == 50


async def test_a_commit_that_fails_writes_nothing_and_spoils_no_other(store: SqlJobStore) -> None:
    """D2: whole or not at all. The time does not fit into the database's integers."""
    good, half = a_job("1"), a_job("2")
    bad = replace(a_job("3"), created_at=Millis(2**80))
    before, broken, after = await asyncio.gather(
        store.commit([Change(good, (RUNNING,))]),
        store.commit([Change(half, (RUNNING,)), Change(bad, (RUNNING,))]),
        store.commit([Change(good, (SUCCESS,))]),
        return_exceptions=True,
    )
    assert isinstance(broken, Exception)
    assert not isinstance(before, BaseException)
    assert not isinstance(after, BaseException)
    assert await store.active_jobs() == [good]
    assert await store.pending_updates() == before + after


async def test_a_commit_whose_caller_gave_up_is_still_whole(store: SqlJobStore) -> None:
    job = a_job()
    task = asyncio.create_task(store.commit([Change(job, (RUNNING,))]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.secret("something after it")
    assert await store.active_jobs() == [job]
    assert [row.update for row in await store.pending_updates()] == [RUNNING]
