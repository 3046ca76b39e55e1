"""Killed writers, a second writer, a full disk, a closed store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.contract.store.jobs import a_job
from ucloud_ray.control.ports import Change
from ucloud_ray.db import open_database
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import JobState
from ucloud_ray.store import SqlJobStore, open_store
from ucloud_ray.store.errors import StoreInUse, StoreUnavailable
from ucloud_ray.store.failing import FailingStore
from ucloud_ray.store.open import MIGRATIONS

WRITER = Path(__file__).with_name("writer_process.py")
ROOT = Path(__file__).parents[3]
UPDATE = Announce(state=JobState.RUNNING, status="runs")


@pytest.mark.parametrize("statements", [1, 2, 3])
async def test_a_writer_killed_between_two_statements_leaves_state_and_update_or_neither(
    url: str, statements: int
) -> None:
    """D2. 1: after the state; 2: after the update too; 3: right before COMMIT."""
    with _writer(url, str(statements)) as writer:
        assert writer.wait(timeout=30) < 0
    assert await _incarnation_and_updates(url) == (1, ["1"])


async def test_a_writer_killed_at_any_moment_leaves_state_and_update_or_neither(url: str) -> None:
    """D2: and whatever it was told is written stays written."""
    with _writer(url) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().splitlines()]
        writer.wait(timeout=30)
    incarnation, updates = await _incarnation_and_updates(url)
    assert incarnation >= told[-1]
    assert updates == [str(n) for n in range(1, incarnation + 1)]


async def test_a_second_writer_is_refused_while_the_first_lives(url: str) -> None:
    """D2: the supervisor is the only writer."""
    with _writer(url) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(StoreInUse, match="Stop it first"):
            await open_store(url, patience=0.1)
        assert int(writer.stdout.readline()) > 0
        writer.kill()
        writer.wait(timeout=30)
    store = await open_store(url)
    await store.close()


async def test_a_second_writer_in_the_same_process_is_refused_too(url: str, store: SqlJobStore) -> None:
    with pytest.raises(StoreInUse):
        await open_store(url, patience=0)
    job = a_job()
    await store.commit([Change(job)])
    assert await store.active_jobs() == [job]


async def test_a_closed_store_says_so(url: str) -> None:
    store = await open_store(url)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.commit([Change(a_job())])
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.active_jobs()


async def test_a_full_disk_is_unavailable_writes_nothing_and_passes(tmp_path: Path) -> None:
    """The commit may be repeated. SQLite's page limit gives the very error of a full disk."""
    database = await open_database(f"sqlite:///{tmp_path / 'jobs.db'}", MIGRATIONS)
    store = SqlJobStore(database, _Noon())
    job = a_job()
    await store.commit([Change(job, (UPDATE,))])
    await database.write(_limit_pages)
    with pytest.raises(StoreUnavailable, match="full"):
        await _commit_many(store)
    seen = await store.active_jobs(), await store.pending_updates()
    assert len(seen[0]) == len(seen[1])
    with pytest.raises(StoreUnavailable):
        await store.commit([Change(a_job(), document={"text": "x" * 100_000})])
    assert (await store.active_jobs(), await store.pending_updates()) == seen
    await database.write(_unlimit_pages)
    await store.commit([Change(a_job(), document={"text": "x" * 100_000})])
    await store.close()


async def test_a_failing_store_fails_as_told_and_then_no_more(store: SqlJobStore) -> None:
    failing = FailingStore(store)
    failing.fail("commit", times=1)
    job = a_job()
    with pytest.raises(StoreUnavailable, match="disk"):
        await failing.commit([Change(job)])
    assert await failing.active_jobs() == []
    await failing.commit([Change(job)])
    assert await failing.active_jobs() == [job]


@pytest.mark.parametrize("table", ["jobs", "outbox"])
async def test_ended_jobs_are_not_read_to_find_the_living(tmp_path: Path, table: str) -> None:
    """100,000 ended jobs must not slow a restart or an order."""
    database = await open_database(f"sqlite:///{tmp_path / 'jobs.db'}", MIGRATIONS)
    questions = {
        "jobs": [
            "SELECT record FROM jobs WHERE NOT final ORDER BY number",
            "SELECT record FROM jobs WHERE job_id = 'x' AND created_at = 1",
            "SELECT record FROM jobs WHERE job_id = 'x' AND current",
            "SELECT record FROM jobs WHERE uid = 'x'",
        ],
        "outbox": ["SELECT seq FROM outbox WHERE uid = 'x' AND status_only", "DELETE FROM outbox WHERE job_id = 'x'"],
    }
    for question in questions[table]:
        plan = await database.read(lambda connection, question=question: _plan(connection, question))
        assert "USING INDEX" in plan or "USING COVERING INDEX" in plan, plan
    await database.close()


async def _commit_many(store: SqlJobStore) -> None:
    for number in range(1_000):
        await store.commit([Change(a_job(str(number)), (UPDATE,))])


def _plan(connection: Connection, question: str) -> str:
    return " ".join(row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {question}")))


def _limit_pages(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")


def _unlimit_pages(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


def _writer(url: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), url, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def _incarnation_and_updates(url: str) -> tuple[int, list[str | None]]:
    store = await open_store(url, patience=5)
    (job,) = await store.active_jobs()
    rows = await store.pending_updates()
    await store.close()
    return job.incarnation, [row.update.status for row in rows]


class _Noon:
    def now(self) -> Millis:
        return Millis(43_200_000)
