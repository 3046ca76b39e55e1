"""The orchestrator's schema: migrated equals fresh, and both databases serve the same requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from tests.support.postgres import Server
from tests.unit.orchestrator.conftest import example, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.db.engines import writer_engine
from ucloud_ray.db.migrate import Schema
from ucloud_ray.db.urls import parse_url
from ucloud_ray.orchestrator.orchestrator import MIGRATIONS
from ucloud_ray.orchestrator.settings import EXAMPLE_PRODUCT, OrchestratorSettings
from ucloud_ray.orchestrator.tables import metadata

SCHEMA = Schema(MIGRATIONS)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'migrated.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.mark.parametrize("first", SCHEMA.revisions)
def test_the_orchestrators_schema_is_what_its_tables_say_from_any_revision(empty_url: str, first: str) -> None:
    engine = writer_engine(parse_url(empty_url))
    for revision in (first, "head"):
        with engine.begin() as connection:
            SCHEMA.upgrade(connection, revision)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": SCHEMA.version_table})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_a_job_lives_and_ends_on_either_database(empty_url: str, tmp_path: Path) -> None:
    settings = OrchestratorSettings(data_dir=tmp_path, database=empty_url, provider_url="http://provider.example.com")
    provider = FakeProvider()
    async with running(settings, provider) as setup:
        job_id = await setup.create(name="My job")
        await setup.update(job_id, state="RUNNING", resourceList=[{"type": "network", "id": "7"}])
        charges = {"items": [{"id": job_id, "chargeId": "a", "units": 2}]}
        for expected in ([], [{"id": job_id}]):
            charged = await setup.post("/api/jobs/control/chargeCredits", charges, setup.as_provider())
            assert charged.json() == {"insufficientFunds": [], "duplicateCharges": expected}
        for used, owed in ((70, 70), (50, 50)):
            report = {**example("derived-report-usage.request")["items"][0], "usage": used}
            told = await setup.post("/api/accounting/v2/reportUsage", {"items": [report]}, setup.as_provider())
            assert told.json() == {"responses": [True]}
            (wallet,) = (await setup.get("/api/accounting/v2/browseWallets")).json()["items"]
            assert wallet["totalUsage"] == 2 * EXAMPLE_PRODUCT.price + owed
        provider.answer("jobs", {"why": "no"}, status=400)
        refused = await setup.post("/api/jobs", {"items": [{**(await setup.job(job_id))["specification"]}]})
        assert refused.status_code == 400
    async with running(replace(settings, support_wait_seconds=0.1), FakeProvider()) as setup:
        next_id = await setup.create()
        assert int(next_id) == int(job_id) + 2
        found = (await setup.post("/api/jobs/search", {"query": "MY JOB", "includeUpdates": True})).json()["items"]
        assert [job["id"] for job in found] == [job_id]
        assert found[0]["specification"]["resources"] == [{"type": "network", "id": "7"}]
        assert [update["state"] for update in found[0]["updates"]] == ["RUNNING"]


def test_jobs_that_live_through_the_migration_keep_their_wish_to_be_started_again(empty_url: str) -> None:
    """0002: it was in their specification only."""
    wishes = {1: ("RUNNING", "true"), 2: ("RUNNING", "null"), 3: ("SUCCESS", "true")}
    columns = (
        "id, created_at, created_by, accepted, provider, product_id, product_category, application_name, "
        "application_version, specification, state, updated_at, update_count, allow_restart"
    )
    engine = writer_engine(parse_url(empty_url))
    with engine.begin() as connection:
        SCHEMA.upgrade(connection, "0001")
        for number, (state, wish) in wishes.items():
            values = f"{number}, 1, 'u', true, 'p', 'i', 'c', 'a', '1', :specification, '{state}', 1, 0, false"
            specification = f'{{"restartOnExit": {wish}}}'.encode()
            insert = text(f"INSERT INTO orchestrator_jobs ({columns}) VALUES ({values})")
            connection.execute(insert, {"specification": specification})
        SCHEMA.upgrade(connection, "head")
        found = connection.execute(text("SELECT id FROM orchestrator_jobs WHERE restart_on_exit")).scalars().all()
    engine.dispose()
    assert found == [1]
