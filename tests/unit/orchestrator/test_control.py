"""The control API over HTTP: who may call it, and what whole requests do (control-api)."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.unit.orchestrator.conftest import Setup, example
from ucloud_ray.orchestrator import tokens

UPDATE = "/api/jobs/control/update"
EMPTY: dict[str, Any] = {"items": []}


async def test_a_refresh_token_becomes_an_access_token_that_works(setup: Setup) -> None:
    body = {"items": [{"refreshToken": setup.orchestrator.keys.refresh_token()}]}
    answer = await setup.http.post("/auth/providers/refresh", json=body)
    (response,) = answer.json()["responses"]
    claims = jwt.decode(response["accessToken"], options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("#P_example", "PROVIDER", 600)
    called = await setup.post(UPDATE, EMPTY, {"Authorization": f"Bearer {response['accessToken']}"})
    assert (called.status_code, called.json()) == (200, {})


@pytest.mark.parametrize("token", ["", "wrong", "\u00e6"])
async def test_an_unknown_refresh_token_is_refused(setup: Setup, token: str) -> None:
    answer = await setup.http.post("/auth/providers/refresh", json={"items": [{"refreshToken": token}]})
    assert answer.status_code == 401


async def test_only_the_provider_may_call(setup: Setup) -> None:
    """Not users, not nobody, and not with the token that we show to the provider (same key, other subject)."""
    service = tokens.ServiceToken(setup.orchestrator.keys).current()
    assert (await setup.http.post(UPDATE, json=EMPTY)).status_code == 401
    assert (await setup.post(UPDATE, EMPTY, setup.user(admin=True))).status_code == 403
    assert (await setup.post(UPDATE, EMPTY, {"Authorization": f"Bearer {service}"})).status_code == 401


async def test_a_provider_may_not_act_as_a_user(setup: Setup) -> None:
    answer = await setup.get("/api/jobs/browse", setup.as_provider())
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["control-update-running.request", "control-update-success.request"])
async def test_the_documented_updates_are_applied(setup: Setup, name: str) -> None:
    job_id = await setup.create()
    body = example(name)
    body["items"][0]["id"] = job_id
    answer = await setup.post(UPDATE, body, setup.as_provider())
    assert (answer.status_code, answer.json()) == (200, {})
    job = await setup.job(job_id)
    sent = body["items"][0]["update"]
    assert job["status"]["state"] == sent["state"]
    assert [update | {"timestamp": 0} for update in job["updates"]] == [sent]


async def test_one_unknown_id_refuses_the_whole_batch(setup: Setup) -> None:
    job_id = await setup.create()
    update = {"state": "RUNNING"}
    body = {"items": [{"id": job_id, "update": update}, {"id": "999999", "update": update}]}
    answer = await setup.post(UPDATE, body, setup.as_provider())
    assert (answer.status_code, answer.json()["why"]) == (404, "Not found or permission denied (999999)")
    assert (await setup.job(job_id))["status"]["state"] == "IN_QUEUE"


@pytest.mark.parametrize("job_id", ["", "x", "-1", "1.5", "9" * 30, "\u0661", "01", "1\0"])
async def test_an_id_that_is_no_number_is_not_found(setup: Setup, job_id: str) -> None:
    """O21."""
    assert (await setup.update(job_id, state="RUNNING")).status_code == 404
    assert (await setup.get("/api/jobs/control/retrieve", setup.as_provider(), id=job_id)).status_code in (400, 404)


@pytest.mark.parametrize(
    "item",
    [
        {"id": 1, "update": {}},
        {"id": "1", "update": {"newTimeAllocation": "soon"}},
        {"id": "1", "update": {"newTimeAllocation": -1}},
        {"id": "1", "update": {"newTimeAllocation": 10**30}},
        {"id": "1", "update": {"state": 1}},
        {"id": "1", "update": {"timestamp": "now"}},
        {"id": "1", "update": {"status": "a\0b"}},
        {"id": "1", "update": []},
        {"id": "1"},
    ],
)
async def test_wrong_types_are_refused_with_the_place(setup: Setup, item: dict[str, Any]) -> None:
    answer = await setup.post(UPDATE, {"items": [item]}, setup.as_provider())
    assert answer.status_code == 400
    assert answer.json()["why"].startswith("items[0]")


async def test_updates_for_many_jobs_keep_their_order_per_job(setup: Setup) -> None:
    jobs = [await setup.create() for _ in range(3)]
    steps = [{"state": "RUNNING"}, {"status": "half"}, {"state": "SUCCESS"}]
    body = {"items": [{"id": job_id, "update": step} for step in steps for job_id in jobs]}
    assert (await setup.post(UPDATE, body, setup.as_provider())).status_code == 200
    for job_id in jobs:
        updates = (await setup.job(job_id))["updates"]
        assert [(one["state"], one["status"]) for one in updates] == [
            ("RUNNING", None),
            (None, "half"),
            ("SUCCESS", None),
        ]
        assert len({one["timestamp"] for one in updates}) == 1


async def test_an_extension_shows_in_the_expiry_and_leaves_the_specification_alone(setup: Setup) -> None:
    job_id = await setup.create(timeAllocation={"hours": 5, "minutes": 0, "seconds": 0})
    await setup.update(job_id, state="RUNNING")
    before = await setup.job(job_id)
    await setup.update(job_id, newTimeAllocation=6 * 3_600_000, status="Extended")
    after = await setup.job(job_id)
    assert after["status"]["expiresAt"] - before["status"]["expiresAt"] == 3_600_000
    assert after["specification"]["timeAllocation"] == {"hours": 5, "minutes": 0, "seconds": 0}


async def test_the_provider_reads_everything_about_a_job(setup: Setup) -> None:
    job_id = await setup.create()
    await setup.update(job_id, state="RUNNING", outputFolder="/1/out")
    job = (await setup.get("/api/jobs/control/retrieve", setup.as_provider(), id=job_id)).json()
    assert job["permissions"]["myself"] == ["READ", "PROVIDER"]
    assert job["output"] == {"outputFolder": "/1/out"}
    assert job["status"]["resolvedApplication"]["metadata"]["name"] == "a-batch-application"
    assert len(job["updates"]) == 1


async def test_the_provider_pages_through_its_jobs_by_state(setup: Setup) -> None:
    jobs = [await setup.create() for _ in range(5)]
    await setup.update(jobs[2], state="RUNNING")
    found: list[str] = []
    query: dict[str, Any] = {"filterState": "IN_QUEUE", "itemsPerPage": 3}
    while True:
        page = (await setup.get("/api/jobs/control/browse", setup.as_provider(), **query)).json()
        found += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        query["next"] = page["next"]
    assert found == [jobs[4], jobs[3], jobs[1], jobs[0]]


async def test_pages_stay_right_while_jobs_are_added_change_and_go(setup: Setup) -> None:
    """Control-api 5.2, as a provider reconciles: what was there all the time comes once, what left is not shown."""
    jobs = [await setup.create() for _ in range(7)]

    async def page(after: str | None) -> tuple[list[str], str | None]:
        query = {"filterState": "IN_QUEUE", "itemsPerPage": 2, **({"next": after} if after else {})}
        found = (await setup.get("/api/jobs/control/browse", setup.as_provider(), **query)).json()
        return [job["id"] for job in found["items"]], found["next"]

    first, after = await page(None)
    await setup.create()
    await setup.update(jobs[0], state="SUCCESS")
    second, after = await page(after)
    await setup.update(jobs[5], state="RUNNING")
    await setup.post("/api/jobs/delete", {"items": [{"id": jobs[1]}]}, setup.user(admin=True))
    third, after = await page(after)
    assert (first, second, third) == ([jobs[6], jobs[5]], [jobs[4], jobs[3]], [jobs[2]])
    assert after is None


async def test_the_provider_finds_jobs_by_ids_of_either_side(setup: Setup) -> None:
    """Up to 1,000 at once, whatever the page size; unknown ones are left out."""
    for number in range(3):
        setup.provider.answer("jobs", {"responses": [{"id": f"theirs-{number}"}]})
    jobs = [await setup.create() for _ in range(3)]

    async def ids(**query: Any) -> list[str]:
        page = (await setup.get("/api/jobs/control/browse", setup.as_provider(), **query)).json()
        return [job["id"] for job in page["items"]]

    theirs = ",".join([*(f"theirs-{number}" for number in range(3)), *(f"unknown-{number}" for number in range(900))])
    assert await ids(filterProviderIds=theirs, itemsPerPage=1) == jobs[::-1]
    assert await ids(filterIds=f"{jobs[0]},{jobs[2]},999999,x") == [jobs[2], jobs[0]]
    assert await ids(filterIds="x") == []
    assert await ids(filterIds=jobs[0], filterState="RUNNING") == []


async def test_existence_is_answered_by_position(setup: Setup) -> None:
    job_id = await setup.create()
    items = [{"type": "job", "id": "5000"}, {"type": "job", "id": job_id}, {"type": "ingress", "id": job_id}]
    answer = await setup.post("/api/providers/resources/checkExistence", {"items": items}, setup.as_provider())
    assert answer.json() == {"responses": [False, True, False]}


async def test_the_status_says_whether_jobs_can_be_created(setup: Setup) -> None:
    status = (await setup.http.get("/api/status")).json()
    assert status["ready"] is True
    assert (status["provider"]["id"], status["provider"]["reachable"]) == ("example", True)


async def test_an_unknown_path_is_a_plain_404_in_the_usual_body(setup: Setup) -> None:
    answer = await setup.post("/api/jobs/nothing", {})
    assert (answer.status_code, answer.json()["statusCode"]) == (404, 404)
