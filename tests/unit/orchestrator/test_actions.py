"""What users do with jobs is handed to the provider, for jobs in any state (end-user-api 5 and 6, O9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider, support_entry
from ucloud_ray.orchestrator.settings import OrchestratorSettings


async def test_terminate_sends_the_jobs_themselves(setup: Setup) -> None:
    jobs = [await setup.create(), await setup.create()]
    answer = await setup.post("/api/jobs/terminate", {"type": "bulk", "items": [{"id": job} for job in jobs]})
    assert answer.json() == {"responses": [{}, {}]}
    (asked,) = setup.provider.calls("jobs/terminate")
    assert [item["id"] for item in asked.body["items"]] == jobs
    assert asked.body["items"][0]["permissions"]["myself"] == ["READ", "EDIT", "ADMIN"]
    assert (await setup.job(jobs[0]))["status"]["state"] == "IN_QUEUE"  # only the provider changes it


async def test_one_unknown_id_refuses_the_call_before_the_provider_hears_of_it(setup: Setup) -> None:
    job_id = await setup.create()
    answer = await setup.post("/api/jobs/terminate", {"items": [{"id": job_id}, {"id": "999"}]})
    assert answer.json()["why"] == "Permission denied or job not found (999)"
    assert setup.provider.calls("jobs/terminate") == []


async def test_extend_suspend_and_unsuspend_are_forwarded(setup: Setup) -> None:
    job_id = await setup.create()
    time = {"hours": 1, "minutes": 0, "seconds": 0}
    extended = await setup.post("/api/jobs/extend", {"items": [{"jobId": job_id, "requestedTime": time}]})
    suspended = await setup.post("/api/jobs/suspend", {"items": [{"id": job_id}]})
    resumed = await setup.post("/api/jobs/unsuspend", {"items": [{"id": job_id}]})
    assert [answer.json() for answer in (extended, suspended, resumed)] == [{"responses": [{}]}] * 3
    (item,) = setup.provider.calls("jobs/extend")[0].body["items"]
    assert (item["job"]["id"], item["requestedTime"]) == (job_id, time)
    for path in ("jobs/suspend", "jobs/unsuspend"):
        assert setup.provider.calls(path)[0].body["items"][0]["job"]["id"] == job_id


async def test_a_refusal_of_the_provider_is_passed_on(setup: Setup) -> None:
    setup.provider.answer("jobs/suspend", {"why": "Not a machine", "errorCode": None}, status=400)
    answer = await setup.post("/api/jobs/suspend", {"items": [{"id": await setup.create()}]})
    assert (answer.status_code, answer.json()["why"]) == (400, "Not a machine")


def session(job_id: str, kind: str) -> dict[str, Any]:
    return {"items": [{"id": job_id, "rank": 0, "sessionType": kind}]}


async def test_a_session_is_answered_with_the_address_of_the_provider(setup: Setup) -> None:
    job_id = await setup.create()
    shell = {"type": "shell", "jobId": job_id, "rank": 0, "sessionIdentifier": "secret"}
    setup.provider.answer("jobs/interactiveSession", {"responses": [shell]})
    answer = await setup.post("/api/jobs/interactiveSession", session(job_id, "SHELL"))
    (opened,) = answer.json()["responses"]
    assert opened == {"providerDomain": "http://provider.example.com", "providerId": "example", "session": shell}


@pytest.mark.parametrize("kind", ["WEB", "VNC", "FOO"])
async def test_a_session_that_the_product_does_not_support_is_refused(setup: Setup, kind: str) -> None:
    answer = await setup.post("/api/jobs/interactiveSession", session(await setup.create(), kind))
    assert answer.status_code == 400
    assert setup.provider.calls("jobs/interactiveSession") == []


@pytest.mark.parametrize("responses", [[], [None], None])
async def test_a_missing_session_is_a_bad_gateway(setup: Setup, responses: Any) -> None:
    setup.provider.answer("jobs/interactiveSession", {"responses": responses})
    answer = await setup.post("/api/jobs/interactiveSession", session(await setup.create(), "SHELL"))
    assert answer.status_code == 502


async def test_utilization_is_asked_for_the_category_of_the_job(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    provider.support = [support_entry(docker={"enabled": True, "utilization": True})]
    busy = {
        "capacity": {"cpu": 4, "memory": 1},
        "usedCapacity": {"cpu": 1, "memory": 0},
        "queueStatus": {"running": 1, "pending": 0},
    }
    provider.answer("jobs/retrieveUtilization", busy)
    async with running(settings, provider) as setup:
        answer = await setup.get("/api/jobs/retrieveUtilization", jobId=await setup.create())
    assert answer.json() == busy
    assert provider.calls("jobs/retrieveUtilization")[0].query == {"categoryId": "example-compute"}


async def test_utilization_that_is_not_supported_is_refused(setup: Setup) -> None:
    assert (await setup.get("/api/jobs/retrieveUtilization", jobId=await setup.create())).status_code == 400


async def test_init_names_the_workspace(setup: Setup) -> None:
    assert (await setup.post("/api/jobs/init", {})).json() == {}
    assert setup.provider.calls("jobs/init")[0].body == {"principal": {"createdBy": "user", "project": None}}


async def test_a_job_can_be_renamed(setup: Setup) -> None:
    job_id = await setup.create(name="old")
    assert (await setup.post("/api/jobs/rename", {"items": [{"id": job_id, "newTitle": "new"}]})).json() == {}
    assert (await setup.job(job_id))["specification"]["name"] == "new"
    assert (await setup.post("/api/jobs/rename", {"items": [{"id": job_id, "newTitle": "a/b"}]})).status_code == 400


async def test_support_stands_on_errors_and_falls_on_an_empty_list(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """O16."""
    async with running(settings, provider) as setup:
        loop = setup.orchestrator.support
        first = [call.path for call in provider.asked]
        assert first == [
            "integration/retrieveManifest", "files/collections/retrieveProducts", "jobs/retrieveProducts",
            "ingresses/retrieveProducts", "networkips/retrieveProducts", "licenses/retrieveProducts",
            "private-networks/retrieveProducts",
        ]  # fmt: skip
        provider.answer("jobs/retrieveProducts", status=404, raw=b"no")
        provider.answer("jobs/retrieveProducts", {"responses": [{"product": 1}]})
        provider.answer("jobs/retrieveProducts", [])
        provider.answer("jobs/retrieveProducts", {"responses": []})
        known = []
        for _ in range(4):
            await loop.poll()
            known.append(bool(setup.orchestrator.products.by_provider()))
        assert known == [True, True, True, False]


async def test_without_a_provider_no_product_can_be_used(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    provider.hang = {"integration/retrieveManifest"}
    impatient = replace(settings, support_wait_seconds=0.0)
    async with running(impatient, provider) as setup:
        assert (await setup.http.get("/api/status")).json()["ready"] is False
        assert (await setup.get("/api/jobs/retrieveProducts")).json() == {"productsByProvider": {}}
