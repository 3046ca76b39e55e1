"""Who may do what with the files of a drive; what the provider is asked, and that it is not asked for strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from tests.unit.orchestrator.test_drives import CONFIGURED, give
from ucloud_ray.orchestrator.settings import OrchestratorSettings

READING = [("GET", "/browse", "path"), ("GET", "/retrieve", "id"), ("POST", "/download", "id")]
WRITING = [("POST", "/folder", "id"), ("POST", "/upload", "id"), ("POST", "/trash", "id"), ("DELETE", "", "id")]
FILE = {"id": "/12512/a", "status": {"type": "FILE"}}


@pytest.fixture
async def shared(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    provider.answer("files/browse", {"itemsPerPage": 50, "items": [FILE], "next": "more"})
    provider.answer("files/retrieve", FILE)
    async with running(replace(settings, drives=CONFIGURED), provider) as made:
        yield made


async def ask(shared: Setup, method: str, path: str, name: str, user: str, file: str = "/12512/a") -> int:
    headers = shared.user(user)
    if method == "GET":
        return (await shared.http.get(f"/api/files{path}", params={name: file}, headers=headers)).status_code
    content = {"items": [{name: file}]}
    return (await shared.http.request(method, f"/api/files{path}", json=content, headers=headers)).status_code


@pytest.mark.parametrize(("method", "path", "name"), READING + WRITING)
async def test_a_stranger_learns_nothing(
    shared: Setup, provider: FakeProvider, method: str, path: str, name: str
) -> None:
    before = len(provider.asked)
    for file in ("/12512/a", "/none/a", "/home-bob/a"):
        assert await ask(shared, method, path, name, "eve", file) == 404
    assert [asked.path for asked in provider.asked[before:] if asked.path.startswith("files")] == []


async def test_who_may_only_read_reads_and_writes_nothing(shared: Setup) -> None:
    """ENV-16."""
    await give(shared, "READ")
    assert [await ask(shared, *call, "user") for call in READING[:2]] == [200, 200]
    assert [await ask(shared, *call, "user") for call in WRITING] == [404] * 4


async def test_both_ends_of_a_move_are_asked_about(shared: Setup, provider: FakeProvider) -> None:
    content = {"items": [{"oldId": "/12512/a", "newId": "/12513/a"}]}
    assert (await shared.post("/api/files/move", content, shared.user("bob"))).status_code == 404
    assert provider.calls("files/move") == []


async def test_a_page_has_what_the_core_alone_knows(shared: Setup, provider: FakeProvider) -> None:
    query = {"path": "/12512/x", "itemsPerPage": 7}
    page = (await shared.http.get("/api/files/browse", params=query, headers=shared.user("bob"))).json()
    [file] = page["items"]
    assert (file["specification"]["collection"], file["owner"]["createdBy"], page["next"]) == ("12512", "bob", "more")
    [asked] = provider.calls("files/browse")
    assert (asked.body["browse"]["path"], asked.body["browse"]["itemsPerPage"]) == ("/12512/x", 7)
    assert asked.body["resolvedCollection"]["id"] == "12512"


async def test_a_home_that_is_made_on_demand_is_its_owners_alone(shared: Setup, provider: FakeProvider) -> None:
    """ENV-2."""
    assert await ask(shared, "GET", "/browse", "path", "user", "/home-user") == 200
    assert provider.calls("files/browse")[0].body["resolvedCollection"]["owner"]["createdBy"] == "user"
    assert await ask(shared, "GET", "/browse", "path", "eve", "/home-user") == 404
