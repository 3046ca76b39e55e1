"""What is to be paid for waits on disk until it is settled (ACC-8)."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.store.jobs import a_job, ended
from ucloud_ray.control.ports import Change
from ucloud_ray.domain.effects import Charge
from ucloud_ray.domain.job import Owner
from ucloud_ray.store import SqlJobStore, open_store

ONE = Charge("1-charge-1", "documented", 15, 23)
TWO = Charge("1-charge-2", "documented", 1, 23)


async def test_charges_come_back_whole_in_their_order_with_who_pays(store: SqlJobStore) -> None:
    job = a_job("1")
    job = replace(job, spec=replace(job.spec, owner=Owner("alice", "a-project")))
    await store.commit([Change(job, charges=(ONE,))])
    await store.commit([Change(job, charges=(TWO,))])
    rows = await store.charges(10)
    assert [row.charge for row in rows] == [ONE, TWO]
    assert {(row.uid, row.job_id, row.owner, row.category) for row in rows} == {
        (job.uid, "1", Owner("alice", "a-project"), job.spec.machine.product.category)
    }
    assert await store.waiting_charges() == (2, rows[0].at)
    assert await store.charges(1) == rows[:1]


async def test_only_what_is_settled_goes(store: SqlJobStore) -> None:
    await store.commit([Change(a_job("1"), charges=(ONE, TWO))])
    first, second = await store.charges(10)
    await store.settle_charges([])
    await store.settle_charges([first.seq, 10**9])
    assert await store.charges(10) == [second]
    await store.settle_charges([second.seq])
    assert await store.waiting_charges() == (0, None)


async def test_a_newer_usage_report_takes_the_place_of_the_older_one(store: SqlJobStore) -> None:
    """ACC-13; and an answer to the older one does not settle it."""
    await store.commit([Change(a_job("1"), charges=(Charge("job-1", "reportUsage", 5, 1),))])
    (older,) = await store.charges(10)
    await store.commit([Change(a_job("1"), charges=(Charge("job-1", "reportUsage", 7, 1),))])
    await store.settle_charges([older.seq])
    assert [(row.charge.units, row.at) for row in await store.charges(10)] == [(7, older.at)], "it waits since then"


async def test_charges_outlive_the_process(url: str) -> None:
    first = await open_store(url)
    await first.commit([Change(a_job("1"), charges=(ONE,))])
    await first.close()
    second = await open_store(url)
    assert [row.charge for row in await second.charges(10)] == [ONE]
    await second.close()


async def test_what_a_job_owes_is_never_asked_of_the_one_that_was_given_its_id(store: SqlJobStore) -> None:
    """O3: charges name the job and no owner; usage reports name who pays."""
    old, new = a_job("105", created_at=1), a_job("105", created_at=2)
    await store.commit([Change(old, charges=(ONE, Charge("job-105", "reportUsage", 5, 1)))])
    await store.commit([Change(a_job("106"), charges=(TWO,))])
    await store.commit([Change(new)])
    assert await store.commit([Change(ended(old), charges=(ONE,))]) == []
    assert [(row.uid == old.uid, row.charge.charge_id) for row in await store.charges(10)] == [
        (True, "job-105"),
        (False, "1-charge-2"),
    ]
