"""The database server goes away and comes back."""

from __future__ import annotations

import pytest

from tests.contract.store.jobs import a_job
from tests.support.postgres import missing_programs, running_server, start
from tests.support.wait import async_wait_until
from ucloud_ray.control.ports import Change
from ucloud_ray.store import SqlJobStore, open_store
from ucloud_ray.store.errors import StoreInUse, StoreMisconfigured, StoreUnavailable

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(missing_programs() is not None, reason=str(missing_programs())),
]


async def test_a_server_that_is_gone_is_unavailable_and_used_again_when_it_is_back() -> None:
    with running_server() as server:
        url = server.new_database()
        store = await open_store(url)
        kept = a_job("1")
        await store.commit([Change(kept)])
        server.stop()
        with pytest.raises(StoreUnavailable):
            await store.commit([Change(a_job("2"))])
        with pytest.raises(StoreUnavailable):
            await store.active_jobs()
        again = start(server.folder, server.port)
        try:
            later = a_job("3")
            await async_wait_until(lambda: _accepted(store, Change(later)), "the store to write again")
            assert await store.active_jobs() == [kept, later]
            with pytest.raises(StoreInUse):
                await open_store(url, patience=0)
            await store.close()
        finally:
            again.stop()


async def test_a_writer_whose_place_was_taken_never_writes_again() -> None:
    """D2: not even when its successor has gone, and the lock is free: what it remembers is out of date."""
    with running_server() as server:
        url = server.new_database()
        told: list[str] = []
        first = await open_store(url, patience=0, lost=lambda: told.append("lost"))
        await first.commit([Change(a_job("1"))])
        server.end_sessions(url)
        second = await open_store(url, patience=5)
        with pytest.raises(StoreInUse, match="Another process uses"):
            await _repeat(first, Change(a_job("2")))
        await second.commit([Change(a_job("3"))])
        await second.close()
        with pytest.raises(StoreInUse, match="Start this one again"):
            await _repeat(first, Change(a_job("4")))
        assert [job.id for job in await first.active_jobs()] == ["1", "3"]
        assert set(told) == {"lost"}
        await first.close()


async def _repeat(store: SqlJobStore, change: Change) -> None:
    """Until the store has noticed that its connection is gone."""
    while not await _accepted(store, change):
        pass


async def test_what_postgres_refuses_is_said_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with running_server() as server:
        url = server.new_database()
        for wrong in (url.replace("correct", "secret-word"), url + "_missing"):
            with pytest.raises(StoreMisconfigured) as refusal:
                await open_store(wrong)
            assert "Check user, password and database name" in str(refusal.value)
            assert "secret-word" not in str(refusal.value) + caplog.text
    with pytest.raises(StoreUnavailable):
        await open_store(url)


async def _accepted(store: SqlJobStore, change: Change) -> bool:
    try:
        await store.commit([change])
    except StoreUnavailable:
        return False
    return True
