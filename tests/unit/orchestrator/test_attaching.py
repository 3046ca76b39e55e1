"""Resources of jobs that exist already (end-user-api 9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup

FILE = {"type": "file", "path": "/51231/data", "readOnly": True}
CALLS = ["attachResource", "detachResource"]


@pytest.mark.parametrize("call", CALLS)
async def test_the_provider_hears_of_job_and_resource_and_its_update_changes_the_job(setup: Setup, call: str) -> None:
    """Provider-api 6.13: the Core's own copy changes with the provider's list only."""
    job_id = await setup.create()
    before = (await setup.job(job_id))["specification"]["resources"]
    answer = await setup.post(f"/api/jobs/{call}", {"jobId": job_id, "resource": FILE})
    assert (answer.status_code, answer.json()) == (200, {})
    [asked] = setup.provider.calls(f"jobs/{call}")
    assert asked.body["job"]["id"] == job_id
    assert asked.body["resource"].items() >= FILE.items()
    assert asked.username == "user"
    assert (await setup.job(job_id))["specification"]["resources"] == before
    await setup.update(job_id, resourceList=[FILE])
    [resource] = (await setup.job(job_id))["specification"]["resources"]
    assert resource["path"] == FILE["path"]


@pytest.mark.parametrize("call", CALLS)
async def test_a_refusal_of_the_provider_is_passed_on(setup: Setup, call: str) -> None:
    job_id = await setup.create()
    setup.provider.answer(f"jobs/{call}", {"why": "not while it runs"}, 400)
    answer = await setup.post(f"/api/jobs/{call}", {"jobId": job_id, "resource": FILE})
    assert (answer.status_code, answer.json()["why"]) == (400, "not while it runs")


@pytest.mark.parametrize("call", CALLS)
async def test_others_cannot_tell_a_job_that_is_not_theirs_from_none(setup: Setup, call: str) -> None:
    job_id = await setup.create()
    whys = []
    for wanted in (job_id, "999"):
        answer = await setup.post(f"/api/jobs/{call}", {"jobId": wanted, "resource": FILE}, setup.user("stranger"))
        assert answer.status_code == 404
        whys.append(answer.json()["why"].replace(wanted, ""))
    assert whys[0] == whys[1]
    assert setup.provider.calls(f"jobs/{call}") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"jobId": "1"},
        {"jobId": "1", "resource": {}},
        {"jobId": "1", "resource": {"type": "text", "value": "x"}},
        {"jobId": "1", "resource": {"type": "nonsense"}},
        {"jobId": "1", "resource": {"type": "file", "path": "/1/\0", "readOnly": True}},
        {"jobId": 1.5, "resource": FILE},
    ],
)
async def test_what_no_job_can_have_is_refused(setup: Setup, body: Any) -> None:
    answer = await setup.post("/api/jobs/attachResource", body)
    assert answer.status_code == 400, answer.text
    assert setup.provider.calls("jobs/attachResource") == []
