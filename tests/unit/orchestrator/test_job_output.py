"""Parts of the output and the use of each rank: who may ask, and what the provider is asked (our own calls)."""

from __future__ import annotations

import pytest

from tests.unit.orchestrator.conftest import Setup
from ucloud_ray.orchestrator.credentials import issue_user_token

PART = {"rank": 1, "stream": "stderr", "offset": 10, "nextOffset": 14, "total": 14, "text": "bad\n"}


async def test_a_part_of_the_output_is_the_providers_with_the_state_of_the_job(setup: Setup) -> None:
    job_id = await setup.create()
    setup.provider.answer("jobs/logs", PART)
    answer = await setup.get(f"/api/jobs/{job_id}/logs", rank="1", stream="stderr", offset="10", limit="4", other="x")
    assert answer.json() == {"jobId": job_id, **PART, "state": "IN_QUEUE"}
    (asked,) = setup.provider.calls("jobs/logs")
    created_at = str((await setup.job(job_id))["createdAt"])
    options = {"rank": "1", "stream": "stderr", "offset": "10", "limit": "4"}
    assert asked.query == {"jobId": job_id, "createdAt": created_at, **options}
    assert asked.username == "user"


async def test_what_ranks_use_is_the_providers_answer(setup: Setup) -> None:
    job_id = await setup.create()
    setup.provider.answer("jobs/usage", {"ranks": [{"rank": 0, "memory": 5}]})
    answer = await setup.get(f"/api/jobs/{job_id}/usage", history="true")
    assert answer.json() == {"jobId": job_id, "ranks": [{"rank": 0, "memory": 5}]}
    assert setup.provider.calls("jobs/usage")[0].query["history"] == "true"


@pytest.mark.parametrize("what", ["logs", "usage"])
async def test_only_who_may_read_the_job_is_answered(setup: Setup, what: str) -> None:
    """As for `retrieve` (end-user-api 8)."""
    job_id = await setup.create()
    bob = {"Authorization": f"Bearer {issue_user_token(setup.data_dir, 'bob')}"}
    assert (await setup.get(f"/api/jobs/{job_id}/{what}", bob)).status_code == 404
    assert (await setup.get(f"/api/jobs/4711/{what}")).status_code == 404
    assert (await setup.get(f"/api/jobs/{job_id}/{what}", {"Authorization": ""})).status_code == 401
    assert setup.provider.calls(f"jobs/{what}") == []
    read = {"entity": {"type": "user", "username": "bob"}, "permissions": ["READ"]}
    await setup.post("/api/jobs/updateAcl", {"items": [{"id": job_id, "added": [read], "deleted": []}]})
    setup.provider.answer(f"jobs/{what}", {})
    assert (await setup.get(f"/api/jobs/{job_id}/{what}", bob)).status_code == 200


async def test_a_refusal_and_an_odd_answer_of_the_provider_are_told(setup: Setup) -> None:
    job_id = await setup.create()
    setup.provider.answer("jobs/logs", {"why": "rank must be a whole number", "errorCode": None}, status=400)
    answer = await setup.get(f"/api/jobs/{job_id}/logs", rank="x")
    assert (answer.status_code, answer.json()["why"]) == (400, "rank must be a whole number")
    setup.provider.answer("jobs/usage", [])
    assert (await setup.get(f"/api/jobs/{job_id}/usage")).status_code == 502
