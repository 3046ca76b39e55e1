"""Parameters of the provider's own in the form of an application, and terminals without a job (end-user-api 9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup

APPLICATION = {"name": "a-batch-application", "version": "1.0.0"}


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
