"""Resources of jobs that exist already, and parameters of the provider's own (end-user-api 9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup

FILE = {"type": "file", "path": "/51231/data", "readOnly": True}
APPLICATION = {"name": "a-batch-application", "version": "1.0.0"}
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


# ------------------------------------------------------------------------------------------- dynamic parameters


async def ask(setup: Setup, application: Any = APPLICATION) -> Any:
    return await setup.post("/api/jobs/requestDynamicParameters", {"application": application})


async def test_the_providers_own_parameters_have_names_that_a_creation_takes(setup: Setup) -> None:
    parameter = {"type": "text", "name": "account", "title": "Account", "description": "", "optional": True}
    setup.provider.answer("jobs/requestDynamicParameters", {"parameters": [parameter]})
    found = (await ask(setup)).json()["parametersByProvider"]
    assert found == {"example": [parameter | {"name": "_injected_account"}]}
    [asked] = setup.provider.calls("jobs/requestDynamicParameters")
    assert asked.body["owner"] == {"createdBy": "user", "project": None}
    assert asked.body["application"]["metadata"]["name"] == APPLICATION["name"]
    value = {"type": "text", "value": "x"}
    await setup.create(parameters={"var": value, "_injected_account": value})


@pytest.mark.parametrize(("status", "told"), [(404, 200), (400, 200), (500, 500), (503, 503)])
async def test_a_provider_that_does_not_know_the_call_has_none(setup: Setup, status: int, told: int) -> None:
    """Provider-api 3."""
    setup.provider.answer("jobs/requestDynamicParameters", {"why": "what?"}, status)
    answer = await ask(setup)
    assert answer.status_code == told
    assert told != 200 or answer.json() == {"parametersByProvider": {"example": []}}


@pytest.mark.parametrize("nonsense", [[], {}, {"parameters": {}}, {"parameters": [1]}, {"parameters": [{"name": 1}]}])
async def test_nonsense_of_a_provider_is_told_as_such(setup: Setup, nonsense: Any) -> None:
    setup.provider.answer("jobs/requestDynamicParameters", nonsense)
    assert (await ask(setup)).status_code == 502


async def test_an_application_that_does_not_exist_is_told(setup: Setup) -> None:
    assert (await ask(setup, {"name": "no-such", "version": "1"})).status_code == 404
    assert (await ask(setup, "batch")).status_code == 400


async def test_terminals_in_folders_are_refused_in_words(setup: Setup) -> None:
    answer = await setup.post("/api/jobs/openTerminalInFolder", {"items": [{"folder": "/51231/x"}]})
    assert answer.status_code == 400
    assert answer.json()["why"].startswith("Terminals in folders are not offered")
