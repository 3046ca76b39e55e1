"""Retrieve, browse, search and permissions (end-user-api 3 and 8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup


async def test_every_flag_fills_its_own_field(setup: Setup) -> None:
    job_id = await setup.create()
    fields = {
        "includeApplication": "resolvedApplication",
        "includeParameters": "jobParametersJson",
        "includeProduct": "resolvedProduct",
        "includeSupport": "resolvedSupport",
    }
    for flag, field in fields.items():
        status = (await setup.job(job_id, **{flag: "true"}))["status"]
        assert {name for name in fields.values() if status[name] is not None} == {field}


async def test_updates_and_others_are_shown_on_request_only(setup: Setup) -> None:
    job_id = await setup.create()
    await setup.update(job_id, status="x")
    plain = (await setup.get("/api/jobs/retrieve", id=job_id)).json()
    assert (plain["updates"], plain["permissions"]) == ([], {"myself": ["READ", "EDIT", "ADMIN"], "others": None})
    assert (await setup.job(job_id, includeOthers="true"))["permissions"]["others"] == []


@pytest.mark.parametrize(
    "query", [{"filterState": "RUNNING"}, {"filterApplication": "x"}, {"hideProvider": "example"}, {"filterIds": "999"}]
)
async def test_a_filter_that_does_not_match_hides_the_job(setup: Setup, query: dict[str, str]) -> None:
    job_id = await setup.create()
    assert (await setup.get("/api/jobs/retrieve", id=job_id, **query)).status_code == 404
    assert (await setup.get("/api/jobs/browse", **query)).json()["items"] == []


async def test_pages_are_newest_first_and_stay_right_while_jobs_come(setup: Setup) -> None:
    jobs = [await setup.create() for _ in range(4)]
    first = (await setup.get("/api/jobs/browse", itemsPerPage=2)).json()
    await setup.create()
    second = (await setup.get("/api/jobs/browse", itemsPerPage=2, next=first["next"])).json()
    ids = [[job["id"] for job in page["items"]] for page in (first, second)]
    assert ids == [[jobs[3], jobs[2]], [jobs[1], jobs[0]]]
    assert second["next"] is None


async def test_oldest_first_on_request(setup: Setup) -> None:
    jobs = [await setup.create() for _ in range(3)]
    page = (await setup.get("/api/jobs/browse", sortBy="createdAt", sortDirection="ascending", itemsPerPage=2)).json()
    assert [job["id"] for job in page["items"]] == jobs[:2]


@pytest.mark.parametrize(
    "query",
    [
        {"itemsPerPage": "x"},
        {"next": "x"},
        {"includeUpdates": "maybe"},
        {"filterCreatedAfter": "1.5"},
        {"filterState": "a\0"},
    ],
)
async def test_wrong_query_parameters_are_refused(setup: Setup, query: dict[str, str]) -> None:
    answer = await setup.get("/api/jobs/browse", **query)
    assert answer.status_code == 400
    assert answer.json()["why"].startswith(next(iter(query)))


@pytest.mark.parametrize("body", [{"query": "BATCH-app", "flags": {"includeUpdates": True}}, {"query": "my job"}, {}])
async def test_search_finds_by_part_of_name_or_title(setup: Setup, body: dict[str, Any]) -> None:
    job_id = await setup.create(name="My job (1)")
    await setup.update(job_id, status="x")
    found = (await setup.post("/api/jobs/search", body)).json()["items"]
    assert [job["id"] for job in found] == [job_id]
    assert bool(found[0]["updates"]) == ("flags" in body)
    assert (await setup.post("/api/jobs/search", {**body, "query": "100%_"})).json()["items"] == []


async def test_others_cannot_tell_a_job_from_none(setup: Setup) -> None:
    job_id = await setup.create()
    bob = setup.user("bob")
    seen = await setup.get("/api/jobs/retrieve", bob, id=job_id)
    none = await setup.get("/api/jobs/retrieve", bob, id="4711")
    ended = await setup.post("/api/jobs/terminate", {"items": [{"id": job_id}]}, bob)
    assert (seen.status_code, none.status_code, ended.status_code) == (404, 404, 404)
    assert seen.json()["why"].replace(job_id, "") == none.json()["why"].replace("4711", "")
    assert (await setup.get("/api/jobs/browse", bob)).json()["items"] == []
    assert setup.provider.calls("jobs/terminate") == []


async def test_an_administrator_may_read_any_job(setup: Setup) -> None:
    job_id = await setup.create()
    assert (await setup.job(job_id, setup.user("root", admin=True)))["id"] == job_id


def grant(job_id: str, username: str, *permissions: str) -> dict[str, Any]:
    added = [{"entity": {"type": "user", "username": username}, "permissions": list(permissions)}]
    return {"items": [{"id": job_id, "added": added, "deleted": []}]}


async def test_a_permission_that_was_given_works_until_it_is_taken_away(setup: Setup) -> None:
    job_id, bob = await setup.create(), setup.user("bob")
    given = await setup.post("/api/jobs/updateAcl", grant(job_id, "bob", "READ"))
    assert given.json() == {"responses": [{}]}
    assert (await setup.job(job_id, bob))["permissions"]["myself"] == ["READ"]
    assert [job["id"] for job in (await setup.get("/api/jobs/browse", bob)).json()["items"]] == [job_id]
    assert (await setup.post("/api/jobs/terminate", {"items": [{"id": job_id}]}, bob)).status_code == 404
    await setup.post("/api/jobs/updateAcl", grant(job_id, "bob", "EDIT"))
    assert (await setup.post("/api/jobs/terminate", {"items": [{"id": job_id}]}, bob)).status_code == 200
    assert setup.provider.calls("jobs/terminate")[0].username == "bob"  # O24: the acting user
    removed = {"items": [{"id": job_id, "added": [], "deleted": [{"type": "user", "username": "bob"}]}]}
    await setup.post("/api/jobs/updateAcl", removed)
    assert (await setup.get("/api/jobs/retrieve", bob, id=job_id)).status_code == 404


async def test_a_change_that_the_provider_refuses_is_not_stored(setup: Setup) -> None:
    job_id = await setup.create()
    setup.provider.answer("jobs/updateAcl", {"why": "no"}, status=400)
    assert (await setup.post("/api/jobs/updateAcl", grant(job_id, "bob", "READ"))).status_code == 400
    assert (await setup.get("/api/jobs/retrieve", setup.user("bob"), id=job_id)).status_code == 404


@pytest.mark.parametrize("permissions", [["ADMIN"], ["PROVIDER"], ["READ", "nonsense"]])
async def test_only_read_and_edit_can_be_given(setup: Setup, permissions: list[str]) -> None:
    job_id = await setup.create()
    assert (await setup.post("/api/jobs/updateAcl", grant(job_id, "bob", *permissions))).status_code == 400


async def test_groups_of_projects_are_refused(setup: Setup) -> None:
    entity = {"type": "project_group", "projectId": "p", "group": "g"}
    item = {"id": await setup.create(), "added": [{"entity": entity, "permissions": ["READ"]}]}
    assert (await setup.post("/api/jobs/updateAcl", {"items": [item]})).status_code == 403
