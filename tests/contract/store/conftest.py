"""Every test of this folder runs over SQLite and over a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, missing_programs, running_server
from ucloud_ray.store import SqlJobStore, open_store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if reason := missing_programs():
        pytest.skip(reason)
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlJobStore]:
    store = await open_store(url)
    yield store
    await store.close()
