"""Drives that their owners share: who sees them, what jobs may have of them, what the provider is told (ENV-16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.settings import DriveOwner, DriveSettings

DRIVES = "/api/files/collections"
SHARED = {"type": "file", "path": "/12512/shared", "readOnly": False}
CONFIGURED = (
    DriveSettings("12512", "Data", Path("/srv/data"), DriveOwner("user", "bob")),
    DriveSettings("12513", "Project", Path("/srv/project"), DriveOwner("project", project_id="p1")),
)


@pytest.fixture
async def shared(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    async with running(replace(settings, drives=CONFIGURED), provider) as made:
        yield made


def change(added: dict[str, list[str]] | None = None, deleted: tuple[str, ...] = (), drive: str = "12512") -> Any:
    entries = [
        {"entity": {"type": "user", "username": username}, "permissions": permissions}
        for username, permissions in (added or {}).items()
    ]
    removed = [{"type": "user", "username": username} for username in deleted]
    return {"items": [{"id": drive, "added": entries, "deleted": removed}]}


async def give(shared: Setup, *permissions: str, to: str = "user") -> None:
    answer = await shared.post(f"{DRIVES}/updateAcl", change({to: list(permissions)}), shared.user("bob"))
    assert (answer.status_code, answer.json()) == (200, {"responses": [{}]})


async def test_a_drive_is_its_owners_until_it_is_shared(shared: Setup) -> None:
    [home] = (await shared.get(f"{DRIVES}/browse")).json()["items"]
    assert home["id"] == "home-user", "the user's own, made on demand"
    [mine] = (await shared.get(f"{DRIVES}/browse", shared.user("bob"))).json()["items"]
    assert (mine["id"], mine["specification"]["title"]) == ("12512", "Data")
    assert (mine["owner"], mine["permissions"]["myself"]) == (
        {"createdBy": "bob", "project": None},
        ["READ", "EDIT", "ADMIN"],
    )
    assert (await shared.get(f"{DRIVES}/retrieve", id="12512")).status_code == 404
    everything = await shared.get(f"{DRIVES}/browse", shared.user("root", admin=True))
    assert [drive["id"] for drive in everything.json()["items"]] == ["home-root", "12512", "12513"]


@pytest.mark.parametrize("homes", [True, False])
async def test_a_home_that_is_made_on_demand_is_its_owners_where_there_are_any(
    settings: OrchestratorSettings, provider: FakeProvider, homes: bool
) -> None:
    """ENV-2: listed and found like any other drive, by nobody else."""
    async with running(replace(settings, drives=CONFIGURED, automatic_homes=homes), provider) as made:
        listed = (await made.get(f"{DRIVES}/browse", includeOthers="true")).json()["items"]
        assert [drive["id"] for drive in listed] == (["home-user"] if homes else [])
        found = await made.get(f"{DRIVES}/retrieve", id="home-user", includeOthers="true")
        assert found.status_code == (200 if homes else 404)
        assert not homes or found.json() == listed[0]
        assert not homes or listed[0]["permissions"] == {"myself": ["READ", "EDIT", "ADMIN"], "others": []}
        assert (await made.get(f"{DRIVES}/retrieve", made.user("bob"), id="home-user")).status_code == 404


async def test_a_shared_drive_is_seen_by_whom_it_is_shared_with(shared: Setup) -> None:
    await give(shared, "READ")
    seen = (await shared.get(f"{DRIVES}/retrieve", id="12512", includeOthers="true")).json()
    assert seen["permissions"] == {
        "myself": ["READ"],
        "others": [{"entity": {"type": "user", "username": "user"}, "permissions": ["READ"]}],
    }
    answer = await shared.post(f"{DRIVES}/updateAcl", change({"eve": ["READ"]}))
    assert answer.status_code == 404, "sharing on is the owner's"


async def test_the_provider_is_told_before_a_change_is_stored(shared: Setup, provider: FakeProvider) -> None:
    """Provider-api 6.9: and a change that it does not take note of is none."""
    await give(shared, "READ", "EDIT")
    [asked] = provider.calls("files/collections/updateAcl")
    [notice] = asked.body["items"]
    assert asked.username == "bob"
    assert notice["resource"]["id"] == "12512"
    assert notice["added"][0]["permissions"] == ["READ", "EDIT"]
    provider.answer("files/collections/updateAcl", {"why": "no"}, status=500)
    answer = await shared.post(f"{DRIVES}/updateAcl", change(deleted=("user",)), shared.user("bob"))
    assert answer.status_code == 500
    assert (await shared.get(f"{DRIVES}/retrieve", id="12512")).status_code == 200


async def test_the_provider_asks_whom_a_drive_is_shared_with(shared: Setup) -> None:
    """control-api 10.4."""
    await give(shared, "EDIT")
    query = {"filterIds": "12512,none", "includeOthers": "true"}
    page = (await shared.get(f"{DRIVES}/control/browse", shared.as_provider(), **query)).json()
    assert [(drive["id"], drive["permissions"]["others"][0]["permissions"]) for drive in page["items"]] == [
        ("12512", ["EDIT"])
    ]
    assert page["next"] is None
    one = await shared.get(f"{DRIVES}/control/retrieve", shared.as_provider(), id="12513")
    assert one.json()["owner"] == {"createdBy": "_ucloud", "project": "p1"}
    assert (await shared.get(f"{DRIVES}/control/retrieve", shared.as_provider(), id="none")).status_code == 404
    assert (await shared.get(f"{DRIVES}/control/browse")).status_code == 403


async def test_drives_come_in_pages(shared: Setup) -> None:
    admin = shared.user("root", admin=True)
    first = (await shared.get(f"{DRIVES}/browse", admin, itemsPerPage=2)).json()
    second = (await shared.get(f"{DRIVES}/browse", admin, itemsPerPage=2, next=first["next"])).json()
    assert [drive["id"] for drive in first["items"] + second["items"]] == ["home-root", "12512", "12513"]
    assert second["next"] is None


async def test_no_job_gets_a_file_that_its_user_may_not_read(shared: Setup, provider: FakeProvider) -> None:
    """End-user-api 4.2."""
    answer = await shared.post("/api/jobs", batch(resources=[SHARED]))
    assert answer.status_code == 400
    assert "resources[0]: the file /12512/shared" in answer.json()["why"]
    assert provider.calls("jobs") == []


async def test_who_may_only_read_gets_the_file_read_only(shared: Setup, provider: FakeProvider) -> None:
    """ENV-16, O22."""
    await give(shared, "READ")
    job_id = await shared.create(resources=[SHARED])
    assert (await shared.job(job_id))["specification"]["resources"][0]["readOnly"] is True
    [asked] = provider.calls("jobs")
    assert asked.body["items"][0]["specification"]["resources"][0]["readOnly"] is True


async def test_who_may_write_gets_the_file_as_asked(shared: Setup) -> None:
    await give(shared, "READ", "EDIT")
    job_id = await shared.create(resources=[SHARED, {**SHARED, "path": "/12512/other", "readOnly": True}])
    resources = (await shared.job(job_id))["specification"]["resources"]
    assert [resource["readOnly"] for resource in resources] == [False, True]


async def test_files_on_drives_that_are_not_known_here_are_the_providers_to_judge(shared: Setup) -> None:
    """Homes that it makes on demand."""
    job_id = await shared.create(resources=[{**SHARED, "path": "/home-user/data"}])
    assert (await shared.job(job_id))["specification"]["resources"][0]["readOnly"] is False


async def test_what_is_shared_outlives_the_orchestrator(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    async with running(replace(settings, drives=CONFIGURED), provider) as made:
        await give(made, "READ")
        before = (await made.get(f"{DRIVES}/retrieve", id="12512")).json()
    async with running(replace(settings, drives=CONFIGURED), provider) as made:
        assert (await made.get(f"{DRIVES}/retrieve", id="12512")).json() == before
