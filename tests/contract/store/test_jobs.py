"""What is written is what is read, and which job a reference means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.contract.store.jobs import PHASES, a_job, ended
from ucloud_ray.control.ports import Change
from ucloud_ray.db.urls import parse_url
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis
from ucloud_ray.domain.job import Job, Phase, Running
from ucloud_ray.store import SqlJobStore, open_store
from ucloud_ray.store.errors import StoreDamaged, StoreTooNew


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.kind)
async def test_a_job_of_every_phase_comes_back_as_it_was(store: SqlJobStore, phase: Phase) -> None:
    """REC-1."""
    job = a_job(phase=phase)
    await store.commit([Change(job)])
    assert await store.get(job.uid) == job


async def test_a_store_that_is_opened_again_has_everything(url: str) -> None:
    """D2: accepted means on disk."""
    job = a_job()
    first = await open_store(url)
    await first.commit([Change(job, document={"id": "100"})])
    await first.close()
    second = await open_store(url)
    assert await second.active_jobs() == [job]
    assert await second.document(job.uid) == {"id": "100"}
    await second.close()


async def test_a_change_replaces_the_job_and_keeps_its_document(store: SqlJobStore) -> None:
    """REC-1: the `Job` as received stays."""
    job = a_job()
    await store.commit([Change(job, document={"as": "received"})])
    running = replace(job, phase=Running(()))
    await store.commit([Change(running)])
    assert await store.get(job.uid) == running
    assert await store.document(job.uid) == {"as": "received"}
    assert await store.recent_jobs(10) == [running]


async def test_a_document_may_hold_any_json(store: SqlJobStore) -> None:
    document: dict[str, Any] = {
        "nul": "a\0b",
        "half": "\ud800",
        "big": 2**90,
        "deep": [{"x": [None, True, 1.5]}],
        "ø": "",
    }
    job = a_job()
    await store.commit([Change(job, document=document)])
    assert await store.document(job.uid) == document


async def test_nothing_is_known_about_a_job_that_was_never_written(store: SqlJobStore) -> None:
    nobody = JobUid("nobody")
    assert await store.get(nobody) is None
    assert await store.document(nobody) is None
    assert await store.find(JobRef(JobId("1"), None)) is None
    assert await store.active_jobs() == []


async def test_active_jobs_are_those_that_are_not_final_oldest_first(store: SqlJobStore) -> None:
    jobs = [a_job(number) for number in ("9", "10", "8")]
    for job in jobs:
        await store.commit([Change(job)])
    await store.commit([Change(ended(jobs[1]))])
    assert await store.active_jobs() == [jobs[0], jobs[2]]
    assert await store.recent_jobs(2) == [jobs[2], ended(jobs[1])]


async def test_a_reference_with_a_time_means_exactly_that_job(store: SqlJobStore) -> None:
    """O3: the Core may give an id twice."""
    old, new = a_job("105", created_at=1_000), a_job("105", created_at=2_000)
    await _write(store, ended(old), new)
    assert await store.find(JobRef(JobId("105"), Millis(1_000))) == ended(old)
    assert await store.find(JobRef(JobId("105"), Millis(2_000))) == new
    assert await store.find(JobRef(JobId("105"), Millis(3_000))) is None


async def test_a_reference_without_a_time_means_the_newest_job_of_the_id(store: SqlJobStore) -> None:
    """O3."""
    old, new = a_job("105", created_at=9_000), a_job("105", created_at=2_000)
    await _write(store, old, new)
    assert await store.find(JobRef(JobId("105"), None)) == new
    await store.commit([Change(ended(old))])
    assert await store.find(JobRef(JobId("105"), None)) == new


async def test_of_two_jobs_with_the_same_id_and_time_the_newer_is_meant(store: SqlJobStore) -> None:
    """O3: the same id with another specification is a new job."""
    old, new = a_job("105"), a_job("105")
    await _write(store, old, new)
    assert await store.find(JobRef(JobId("105"), Millis(1_000))) == new


async def test_a_record_of_a_newer_format_is_refused_with_a_clear_word(url: str) -> None:
    job = await _with_record(url, '{"format":999,"value":{}}')
    with pytest.raises(StoreTooNew, match="999"):
        await job


async def test_a_record_that_is_no_record_is_reported_as_damage(url: str) -> None:
    job = await _with_record(url, '{"format":1,"value":{"uid":3}}')
    with pytest.raises(StoreDamaged, match="backup"):
        await job


async def test_a_record_from_before_a_field_existed_gets_its_default(url: str) -> None:
    store = await open_store(url)
    job = replace(a_job(), failed_starts=0)
    await store.commit([Change(job)])
    await store.close()
    _sql(url, "UPDATE jobs SET record = replace(record, :field, '')", field='"failed_starts":0,')
    store = await open_store(url)
    assert await store.get(job.uid) == job
    await store.close()


async def test_a_secret_is_made_once_and_is_the_same_for_ever(url: str) -> None:
    first = await open_store(url)
    secret = await first.secret("sessions")
    assert len(secret) == 32
    assert await first.secret("other") != secret
    await first.close()
    second = await open_store(url)
    assert await second.secret("sessions") == secret
    await second.close()


async def test_a_machine_keeps_its_number_and_no_other_one_gets_it(url: str) -> None:
    """D14: its subnet follows from it."""
    first = await open_store(url)
    assert [await first.machine_number(host) for host in ("node-b", "node-a", "node-b")] == [0, 1, 0]
    await first.close()
    second = await open_store(url)
    assert [await second.machine_number(host) for host in ("node-c", "node-a")] == [2, 1]
    assert await second.machines() == ["node-b", "node-a", "node-c"]
    await second.close()


async def test_a_drained_machine_stays_so_until_it_is_not(url: str) -> None:
    """SCH-15."""
    first = await open_store(url)
    for host, message in (("node-a", "on Friday"), ("node-b", ""), ("node-a", "on Saturday")):
        await first.set_drain(host, message)
    await first.close()
    second = await open_store(url)
    assert await second.drains() == {"node-a": "on Saturday", "node-b": ""}
    for host in ("node-a", "node-x"):
        await second.set_drain(host, None)
    assert await second.drains() == {"node-b": ""}
    await second.close()


async def _write(store: SqlJobStore, *jobs: Job) -> None:
    for job in jobs:
        await store.commit([Change(job)])


async def _with_record(url: str, record: str) -> Any:
    """The awaitable of reading a job whose record was replaced."""
    store = await open_store(url)
    job = a_job()
    await store.commit([Change(job)])
    await store.close()
    _sql(url, "UPDATE jobs SET record = :record", record=record)

    async def read() -> None:
        again = await open_store(url)
        try:
            await again.get(job.uid)
        finally:
            await again.close()

    return read()


def _sql(url: str, statement: str, **values: str) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()
