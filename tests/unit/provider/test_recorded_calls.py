"""Every call that a real UCloud/Core was seen to make gets an answer that it accepts (D13)."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.unit.provider.fakes import RecordingService
from tests.unit.provider.recordings import Recording, example, observed

REFUSED = {
    "create-all-resources": (400, "cannot attach public links"),
    "create-jinja-app-ssh-mandatory": (400, "SSH"),
    "create-ssh-on": (400, "SSH"),
    "POST_jobs_attachResource": (400, "attach"),
    "POST_jobs_detachResource": (400, "attach"),
    "POST_jobs_interactiveSession": (404, "job"),
    "POST_jobs_openTerminalInFolder": (400, "terminals"),
    "POST_integration_connect": (400, "link"),
    "GET_provider_branding_retrieveInfo": (404, "not offer"),
}
"""What we do not offer: status, and a word of the text for the user."""

OTHER_RESOURCES = (
    "DELETE_ingresses",
    "POST_files",
    "POST_ingresses",
    "POST_licenses",
    "POST_networkips",
    "POST_private",
)
"""Calls about resource types that we withdraw by an empty product list: 404 (provider-api 9)."""


def _expected(call: Recording) -> tuple[int, str]:
    if call.name.startswith(OTHER_RESOURCES):
        return 404, "no such call"
    return REFUSED.get(call.name, (200, ""))


@pytest.mark.parametrize("call", observed(), ids=str)
async def test_a_recorded_call_is_answered_as_the_core_needs_it(call: Recording, core: httpx.AsyncClient) -> None:
    """provider-api 1.3, 3 and 4: a JSON object always; one element per item, or `why`."""
    answer = await core.request(call.method, call.path, content=call.body)
    status, word = _expected(call)
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert isinstance(content, dict)
    if status != 200:
        assert word in content["why"]
        assert "errorCode" in content
        return
    _check_like_the_one_recorded(call, content)


def _check_like_the_one_recorded(call: Recording, content: dict[str, Any]) -> None:
    items = json.loads(call.body).get("items") if call.body else None
    if "responses" in content and items is not None:
        assert len(content["responses"]) == len(items)
    if isinstance(call.answer, dict) and call.answer_status == 200:
        assert ("responses" in content) == ("responses" in call.answer)


async def test_no_recorded_call_reaches_the_engine_under_a_wrong_name(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    for call in observed():
        await core.request(call.method, call.path, content=call.body)
    assert {name for name, _ in service.calls} == {
        "submit", "terminate", "extend", "suspend", "unsuspend", "open_sessions", "support",
    }  # fmt: skip


async def test_the_documented_create_is_accepted_with_an_id_of_ours(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """O1: the id is unique over all resources, never the bare job id."""
    answer = await core.post("/ucloud/example/jobs", json=example("provider-create-batch.request"))
    assert answer.status_code == 200
    (element,) = answer.json()["responses"]
    assert str(uuid.UUID(element["id"])) == element["id"]
    (job,) = service.submitted
    assert (job.id, job.created_at) == ("54112", 1633329776235)
    assert job.spec.launch.argv == ("acme-batch", "--debug", "true", "Hello, World!")
    assert job.spec.launch.image == "acme/batch:1.0.0"


async def test_the_derived_create_of_g_means_the_same_job_as_the_documented_one(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """D13: the eras differ in form only."""
    await core.post("/ucloud/example/jobs", json=example("provider-create-batch.request"))
    await core.post("/ucloud/example/jobs", json=example("derived-go-provider-create.request"))
    documented, derived = service.submitted
    assert documented.spec == derived.spec


async def test_the_documented_verify_reaches_the_engine_and_is_answered_with_nothing(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    answer = await core.post("/ucloud/example/jobs/verify", json=example("provider-verify.request"))
    assert (answer.status_code, answer.json()) == (200, {})
    ((name, ((ref, state),)),) = service.calls
    assert (name, ref.id, ref.created_at, state) == ("verify", "54112", 1633329776235, "RUNNING")


@pytest.mark.parametrize("type_", ["ingresses", "networkips", "licenses", "private-networks", "files/collections"])
async def test_a_resource_type_that_we_do_not_offer_is_withdrawn(type_: str, core: httpx.AsyncClient) -> None:
    answer = await core.get(f"/ucloud/example/{type_}/retrieveProducts")
    assert answer.json() == example("derived-provider-empty-products.response")
