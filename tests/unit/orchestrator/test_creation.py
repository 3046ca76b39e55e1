"""Creating jobs: what is refused before anything is stored, and what the provider's answers do (end-user-api 4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import Asked, FakeProvider, support_entry
from ucloud_ray.orchestrator.settings import OrchestratorSettings

PRODUCT = {"id": "example-compute", "category": "example-compute", "provider": "example"}


async def stored(setup: Setup) -> int:
    answer = await setup.get("/api/jobs/control/browse", setup.as_provider())
    return len(answer.json()["items"])


BAD: dict[str, dict[str, Any]] = {
    "unknown application": {"application": {"name": "nothing", "version": "1"}},
    "unknown product": {"product": {**PRODUCT, "id": "nothing"}},
    "no nodes": {"replicas": 0},
    "too many nodes": {"replicas": 2**40},
    "nodes as text": {"replicas": "1"},
    "no time": {"timeAllocation": {"hours": 0, "minutes": 0, "seconds": 0}},
    "negative time": {"timeAllocation": {"hours": -1, "minutes": 0, "seconds": 0}},
    "endless time": {"timeAllocation": {"hours": 10**12, "minutes": 0, "seconds": 0}},
    "missing parameter": {"parameters": {}},
    "null parameters although one is mandatory": {"parameters": None},
    "parameter of the wrong type": {"parameters": {"var": {"type": "integer", "value": 1}}},
    "parameter without a type": {"parameters": {"var": "text"}},
    "value of the wrong type": {"parameters": {"var": {"type": "text", "value": 1}}},
    "unknown parameter": {
        "parameters": {"var": {"type": "text", "value": "x"}, "more": {"type": "text", "value": "x"}}
    },
    "secret as an injected parameter": {
        "parameters": {"var": {"type": "text", "value": "x"}, "_injected_x": {"type": "api_server", "token": "t"}}
    },
    "NUL in a value": {"parameters": {"var": {"type": "text", "value": "a\0b"}}},
    "NUL in the name of a parameter": {"parameters": {"va\0r": {"type": "text", "value": "a"}}},
    "slash in the name": {"name": "a/b"},
    "long name": {"name": "x" * 201},
    "ssh": {"sshEnabled": True},
    "unknown resource": {"resources": [{"type": "something"}]},
    "text as a resource": {"resources": [{"type": "text", "value": "x"}]},
    "resources of the wrong type": {"resources": {}},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
async def test_a_wrong_specification_is_refused_and_nothing_is_stored(setup: Setup, changes: dict[str, Any]) -> None:
    answer = await setup.post("/api/jobs", batch(**changes))
    assert answer.status_code == 400, answer.text
    assert len(answer.json()["why"]) > 10
    assert setup.provider.calls("jobs") == []
    assert await stored(setup) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"items": 1}', 400),
        (b'{"items": [1]}', 400),
        (b'{"items": [{"application": {"name": "\\ud800", "version": "1"}}]}', 400),
        (b"[" * 50_000, 400),
        (b"\xff\xfe", 400),
        (b" " * 200_000, 413),
    ],
)
async def test_a_body_that_is_no_request_is_refused(setup: Setup, body: bytes, status: int) -> None:
    answer = await setup.http.post("/api/jobs", content=body, headers=setup.user())
    assert answer.status_code == status
    assert answer.json()["why"]
    assert await stored(setup) == 0


async def test_a_body_that_says_it_is_huge_is_not_read(setup: Setup) -> None:
    headers = {**setup.user(), "Content-Length": str(10**8)}
    answer = await setup.http.post("/api/jobs", content=b"{}", headers=headers)
    assert answer.status_code == 413


async def test_more_than_a_thousand_jobs_at_once_are_refused(setup: Setup) -> None:
    answer = await setup.post("/api/jobs", {"items": [{**PRODUCT}] * 1001})
    assert answer.status_code == 400


async def test_a_backend_that_the_product_does_not_support_is_refused(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    provider.support = [support_entry(docker={"enabled": False})]
    async with running(settings, provider) as setup:
        answer = await setup.post("/api/jobs", batch())
    assert answer.status_code == 400
    assert "DOCKER" in answer.json()["why"]


async def test_a_provider_that_was_not_heard_since_the_start_is_away_and_not_its_users_mistake(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """A user may try again: the products are registered, and nobody took them back."""
    provider.answer("jobs/retrieveProducts", status=502)
    async with running(settings, provider) as setup:
        known = await setup.post("/api/jobs", batch())
        unknown = await setup.post("/api/jobs", batch(product={**PRODUCT, "id": "nothing"}))
    assert (known.status_code, unknown.status_code) == (502, 400)
    assert "try again" in known.json()["why"]


async def test_the_clients_extra_fields_are_accepted(setup: Setup) -> None:
    """W16: `type: bulk`, the whole metadata as application, a host name."""
    body = batch(application={"name": "a-batch-application", "version": "1.0.0", "title": "x"}, hostname=None)
    answer = await setup.post("/api/jobs", {**body, "type": "bulk"})
    assert answer.status_code == 200


async def test_the_id_that_the_provider_answers_is_kept(setup: Setup) -> None:
    setup.provider.answer("jobs", {"responses": [{"id": "uid-1"}]})
    job_id = await setup.create()
    assert (await setup.job(job_id))["providerGeneratedId"] == "uid-1"
    found = await setup.get("/api/jobs/control/browse", setup.as_provider(), filterProviderIds="uid-1,uid-2")
    assert [job["id"] for job in found.json()["items"]] == [job_id]


async def test_an_id_that_another_job_has_is_no_answer(setup: Setup) -> None:
    """O1: the real Core ends here; we refuse the second job."""
    setup.provider.answer("jobs", {"responses": [{"id": "uid-1"}]})
    await setup.create()
    answer = await setup.post("/api/jobs", batch())
    assert answer.status_code == 502
    assert await stored(setup) == 1


@pytest.mark.parametrize("content", [None, {}, {"id": ""}])
async def test_a_provider_need_not_have_ids(setup: Setup, content: Any) -> None:
    setup.provider.answer("jobs", {"responses": [content]})
    assert "providerGeneratedId" not in await setup.job(await setup.create())


async def test_a_refusal_is_passed_on_and_the_id_is_not_used_again(setup: Setup) -> None:
    first = int(await setup.create())
    setup.provider.answer("jobs", {"why": "No room", "errorCode": "FULL"}, status=402)
    setup.provider.answer("jobs", {"responses": [None]})
    answer = await setup.post("/api/jobs", batch())
    assert (answer.status_code, answer.json()["why"], answer.json()["errorCode"]) == (402, "No room", "FULL")
    assert await stored(setup) == 1
    assert int(await setup.create()) == first + 2


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"responses":[{"id":5}]}', b'{"responses":["x"]}', b"<html>"])
async def test_an_answer_that_is_none_is_a_bad_gateway(setup: Setup, raw: bytes) -> None:
    """O14."""
    setup.provider.answer("jobs", raw=raw)
    answer = await setup.post("/api/jobs", batch())
    assert answer.status_code == 502
    assert await stored(setup) == 0


async def test_a_refusal_that_is_not_json_keeps_its_status(setup: Setup) -> None:
    setup.provider.answer("jobs", status=404, raw=b"<html>")
    answer = await setup.post("/api/jobs", batch())
    assert (answer.status_code, bool(answer.json()["why"])) == (404, True)


async def test_a_provider_that_does_not_answer_in_time_loses_the_job(setup: Setup) -> None:
    setup.provider.hang.add("jobs")
    answer = await setup.post("/api/jobs", batch())
    assert answer.status_code == 502
    assert await stored(setup) == 0


@pytest.mark.parametrize("status", [449, 503])
async def test_busy_answers_are_repeated_with_an_init_before_each(setup: Setup, status: int) -> None:
    """O15."""
    setup.provider.answer("jobs", {"why": "wait"}, status=status)
    setup.provider.answer("jobs", {"why": "wait"}, status=status)
    setup.provider.answer("jobs", {"responses": [None]})
    await setup.create()
    paths = [call.path for call in setup.provider.asked if call.path in ("jobs", "integration/init")]
    assert paths == ["jobs", "integration/init", "jobs", "integration/init", "jobs"]
    assert setup.provider.calls("integration/init")[0].body == {"username": "user"}


async def test_after_six_busy_answers_the_refusal_is_passed_on(setup: Setup) -> None:
    setup.provider.answer("jobs", {"why": "wait"}, status=503)
    answer = await setup.post("/api/jobs", batch())
    assert (answer.status_code, answer.json()["why"]) == (503, "wait")
    assert len(setup.provider.calls("jobs")) == 6


async def test_of_several_jobs_the_refused_ones_are_null(setup: Setup) -> None:
    """end-user-api 4.1, one provider call per item."""
    setup.provider.answer("jobs", {"why": "no"}, status=400)
    setup.provider.answer("jobs", {"responses": [None]})
    answer = await setup.post("/api/jobs", {"items": batch()["items"] * 3})
    responses = answer.json()["responses"]
    assert sum(response is None for response in responses) == 1
    assert [len(call.body["items"]) for call in setup.provider.calls("jobs")] == [1, 1, 1]


async def test_updates_that_overtake_the_answer_are_kept(setup: Setup) -> None:
    """O8."""
    seen: list[int] = []

    async def update_first(asked: Asked) -> None:
        if asked.path == "jobs":
            seen.append((await setup.update(asked.body["items"][0]["id"], state="RUNNING")).status_code)

    setup.provider.before_answer = update_first
    job_id = await setup.create()
    assert seen == [200]
    assert (await setup.job(job_id))["status"]["state"] == "RUNNING"


async def test_a_job_is_listed_once_the_provider_has_accepted_it(setup: Setup) -> None:
    listed: list[int] = []

    async def list_first(asked: Asked) -> None:
        listed.append(len((await setup.get("/api/jobs/browse")).json()["items"]))

    setup.provider.before_answer = list_first
    await setup.create()
    await list_first(setup.provider.asked[-1])
    assert listed == [0, 1]


async def test_a_job_whose_creation_was_cut_off_is_forgotten(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """Nobody was told its id (provider-api 6.1)."""
    provider.hang.add("jobs")
    patient = replace(settings, call_timeout_seconds=60.0)
    async with running(patient, provider) as setup:
        cut_off = asyncio.create_task(setup.post("/api/jobs", batch()))
        await async_wait_until(lambda: _asked(provider), "the provider to be asked")
        assert await stored(setup) == 1
        cut_off.cancel()
    async with running(settings, provider) as setup:
        assert await stored(setup) == 0


async def _asked(provider: FakeProvider) -> bool:
    return bool(provider.calls("jobs"))
