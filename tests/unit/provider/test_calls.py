"""Each call reaches the engine as what it means, and is answered with one element per item (provider-api 4 and 6)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import structlog

from tests.unit.provider.fakes import RecordingService, a_view
from tests.unit.provider.recordings import DATA, example, recorded_create
from ucloud_ray.control.errors import NotReady
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.domain.job import JobState

JOBS = "/ucloud/example/jobs"
KEY = {"id": "4", "createdAt": 17}
REF = JobRef("4", 17)


async def _post(core: httpx.AsyncClient, call: str, items: list[Any] | None, **more: Any) -> Any:
    answer = await core.post(f"{JOBS}/{call}" if call else JOBS, json={"items": items, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


# ----------------------------------------------------------------------------------------------------- create


async def test_a_created_job_is_handed_over_as_it_was_received(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """REC-1."""
    body = recorded_create()
    await core.post(JOBS, json=body)
    (job,) = service.submitted
    assert job.document == body["items"][0]
    assert (job.id, job.created_at, job.spec.owner.created_by) == ("4", 1795531043856, "alice")


async def test_secrets_of_a_job_are_neither_kept_nor_logged(core: httpx.AsyncClient, service: RecordingService) -> None:
    """models 9: an `api_server` token is given once and must not be stored."""
    body = recorded_create()
    secret = {"type": "api_server", "server": "https://s.example", "token": "hunter2", "tokenType": "x"}
    body["items"][0]["specification"]["resources"] = [secret]
    body["items"][0]["specification"]["parameters"]["hidden"] = secret
    with structlog.testing.capture_logs() as logs:
        answer = await core.post(JOBS, json=body)
    assert answer.status_code == 200
    assert "hunter2" not in json.dumps(service.submitted[0].document) + repr(service.submitted) + repr(logs)


async def test_numbers_beyond_64_bits_keep_every_digit(core: httpx.AsyncClient, service: RecordingService) -> None:
    """INV-2: integers have any size."""
    number = 123456789012345678901234567890
    body = recorded_create()
    body["items"][0]["specification"]["parameters"]["count"] = {"type": "integer", "value": number}
    await core.post(JOBS, content=json.dumps(body).encode())
    (job,) = service.submitted
    assert f"-n{number}" in job.spec.launch.argv
    assert job.document["specification"]["parameters"]["count"]["value"] == number


HEADERS = {
    "none, like G": {},
    "like K": {"Content-Type": "application/json; charset=utf-8"},
    "as in the documentation's commands": {"Content-Type": "content-type: application/json; charset=utf-8"},
    "a form, like curl": {"Content-Type": "application/x-www-form-urlencoded"},
    "nonsense": {"Content-Type": ";;;"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
async def test_the_content_type_does_not_matter(
    headers: dict[str, str], core: httpx.AsyncClient, service: RecordingService
) -> None:
    """provider-api 1.2."""
    answer = await core.post(JOBS, content=json.dumps(recorded_create()).encode(), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert len(service.submitted) == 1


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"items":null}', b'{"items":[]}', b'{"type":"bulk"}'])
@pytest.mark.parametrize("call", ["", "/terminate", "/extend", "/suspend", "/unsuspend", "/updateAcl"])
async def test_no_items_in_any_form_is_no_work(
    body: bytes, call: str, core: httpx.AsyncClient, service: RecordingService
) -> None:
    """provider-api 4: G writes an empty list without its key."""
    answer = await core.post(JOBS + call, content=body)
    assert (answer.status_code, answer.json()) == (200, {"responses": []})
    assert service.submitted == []


# ------------------------------------------------------------------------------------------------------ orders


async def test_terminate_takes_the_jobs_themselves_also_twice(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """11.4: users click twice."""
    assert await _post(core, "terminate", [KEY, KEY, {"id": "5"}]) == {"responses": [{}, {}, {}]}
    assert service.calls == [("terminate", [REF, REF, JobRef("5", None)])]


async def test_extend_hands_over_milliseconds(core: httpx.AsyncClient, service: RecordingService) -> None:
    time = {"hours": 1, "minutes": 2, "seconds": 3}
    assert await _post(core, "extend", [{"job": KEY, "requestedTime": time}]) == {"responses": [{}]}
    assert service.calls == [("extend", [(REF, 3_723_000)])]


@pytest.mark.parametrize("time", [{}, {"hours": 0}, {"hours": -1}, {"hours": 1, "minutes": -60}])
async def test_an_extension_by_nothing_or_less_is_refused(
    time: dict[str, int], core: httpx.AsyncClient, service: RecordingService
) -> None:
    """TIME-7, O9."""
    answer = await core.post(f"{JOBS}/extend", json={"items": [{"job": KEY, "requestedTime": time}]})
    assert (answer.status_code, "more than zero" in answer.json()["why"]) == (400, True)
    assert service.calls == []


@pytest.mark.parametrize("call", ["suspend", "unsuspend"])
async def test_suspend_and_unsuspend_name_the_job(
    call: str, core: httpx.AsyncClient, service: RecordingService
) -> None:
    assert await _post(core, call, [{"job": KEY}]) == {"responses": [{}]}
    assert service.calls == [(call, [REF])]


async def test_verify_compares_only_states_that_exist(core: httpx.AsyncClient, service: RecordingService) -> None:
    """REC-12."""
    items = [KEY | {"status": {"state": "SUSPENDED"}}, {"id": "5", "status": {"state": "DREAMING"}}, {"id": "6"}]
    assert await _post(core, "verify", items) == {}
    assert service.calls == [
        ("verify", [(REF, JobState.SUSPENDED), (JobRef("6", None), JobState.IN_QUEUE)])
    ]  # fmt: skip


ACKNOWLEDGED = {
    "init": ({"principal": {"createdBy": "alice", "project": None}}, {}),
    "onUpdatedLabels": ({"items": [KEY]}, {}),
    "requestDynamicParameters": ({"owner": {}, "application": {}}, {"parameters": []}),
}


@pytest.mark.parametrize(("call", "request_", "answer"), [(n, r, a) for n, (r, a) in ACKNOWLEDGED.items()])
async def test_what_needs_nothing_is_acknowledged(
    call: str, request_: Any, answer: Any, core: httpx.AsyncClient, service: RecordingService
) -> None:
    response = await core.post(f"{JOBS}/{call}", json=request_)
    assert (response.status_code, response.json()) == (200, answer)
    assert service.calls == []


@pytest.mark.parametrize("path", ["jobs", "files/collections"])
@pytest.mark.parametrize("failure", [None, NotReady("starting")], ids=["", "while the supervisor is away"])
async def test_changed_permissions_are_acknowledged_always_and_looked_at(
    path: str, failure: Exception | None, core: httpx.AsyncClient, service: RecordingService
) -> None:
    """ACC-19, ACC-21: the Core refuses its user's change otherwise."""
    service.failure = failure
    item = {"resource": KEY, "added": [], "deleted": [{"type": "user", "username": "bob"}]}
    response = await core.post(f"/ucloud/example/{path}/updateAcl", json={"items": [item]})
    assert (response.status_code, response.json()) == (200, {"responses": [{}]})
    assert service.calls == [("access_changed", None)]


# ---------------------------------------------------------------------------------------------------- sessions


async def test_sessions_are_opened_one_for_each_item_in_order(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """IS-1, IS-7."""
    service.views = {"4": a_view("4")}
    items = [{"job": KEY, "rank": rank, "sessionType": "SHELL", "target": None, "port": 1} for rank in (1, 0)]
    answer = await core.post(f"{JOBS}/interactiveSession", json={"items": items})
    assert answer.json() == {
        "responses": [
            {"type": "shell", "jobId": "4", "rank": 1, "sessionIdentifier": "session-0"},
            {"type": "shell", "jobId": "4", "rank": 0, "sessionIdentifier": "session-1"},
        ]
    }


async def test_web_and_desktop_sessions_say_where_the_browser_is_to_go(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """IS-17, IS-19, IS-25, W9, W18: absolute with its scheme, an origin for each rank; the password comes along."""
    service.views, service.password = {"4": a_view("4")}, "secret"
    items = [{"job": KEY, "rank": 1, "sessionType": kind} for kind in ("WEB", "VNC")]
    answer = await core.post(f"{JOBS}/interactiveSession", json={"items": items})
    web = "http://app-4-1.localhost:8889/ucloud/example/authorize-app?token=session-0"
    desktop = "/ucloud/example/vnc?token=session-1"
    assert answer.json() == {
        "responses": [
            {"type": "web", "jobId": "4", "rank": 1, "redirectClientTo": web},
            {"type": "vnc", "jobId": "4", "rank": 1, "url": desktop, "password": "secret"},
        ]
    }


@pytest.mark.parametrize(
    ("item", "status", "word"),
    [
        ({"job": {"id": "unknown"}, "rank": 0, "sessionType": "SHELL"}, 404, "know"),
        ({"job": KEY, "rank": 0, "sessionType": "FOO"}, 400, "SHELL, WEB or VNC"),
    ],
)
async def test_a_session_is_refused_for_the_right_reason(
    item: dict[str, Any], status: int, word: str, core: httpx.AsyncClient, service: RecordingService
) -> None:
    """IS-2; the engine looks at the rest (`unit/control/test_sessions.py`)."""
    service.views = {"4": a_view("4")}
    good = {"job": KEY, "rank": 0, "sessionType": "SHELL"}
    answer = await core.post(f"{JOBS}/interactiveSession", json={"items": [good, item]})
    assert answer.status_code == status
    assert word in answer.json()["why"]


# ---------------------------------------------------------------------------------------------------- products


async def test_the_support_has_all_backends_real_booleans_and_a_queue_status(core: httpx.AsyncClient) -> None:
    """W1, W7, provider-api 10.8."""
    answer = await core.get(f"{JOBS}/retrieveProducts")
    (entry,) = answer.json()["responses"]
    assert entry["product"] == {"id": "cpu-1", "category": "cpu", "provider": "example"}
    assert entry["queueStatus"] == "BUSY"
    flags = {backend: entry[backend] for backend in ("docker", "virtualMachine", "native")}
    assert {type(flag) for backend in flags.values() for flag in backend.values()} == {bool}
    assert [name for name, flag in flags["docker"].items() if flag] == [
        "enabled", "logs", "timeExtension", "utilization",
    ]  # fmt: skip
    assert not any([*flags["virtualMachine"].values(), *flags["native"].values()])


async def test_the_support_has_every_field_of_the_documented_answer(core: httpx.AsyncClient) -> None:
    (entry,) = (await core.get(f"{JOBS}/retrieveProducts")).json()["responses"]
    documented = example("provider-retrieve-products-full-containers.response")["responses"][0]
    assert documented.keys() <= entry.keys()
    for backend in ("docker", "virtualMachine", "native"):
        assert documented[backend].keys() <= entry[backend].keys()


async def test_the_utilization_of_a_category_is_told_in_cores_and_bytes(core: httpx.AsyncClient) -> None:
    """SCH-17."""
    answer = await core.get(f"{JOBS}/retrieveUtilization", params={"categoryId": "cpu"})
    assert answer.json() == {
        "capacity": {"cpu": 8.5, "memory": 32_000_000_000},
        "usedCapacity": {"cpu": 1.5, "memory": 4_000_000_000},
        "queueStatus": {"running": 1, "pending": 2},
    }


@pytest.mark.parametrize(("query", "status"), [({"categoryId": "other"}, 404), ({}, 400), ({"categoryId": ""}, 400)])
async def test_the_utilization_of_nothing_is_refused(
    query: dict[str, str], status: int, core: httpx.AsyncClient
) -> None:
    assert (await core.get(f"{JOBS}/retrieveUtilization", params=query)).status_code == status


# ------------------------------------------------------------------------------------------------ documentation


async def test_the_description_of_the_api_names_every_call_of_its_specification(core: httpx.AsyncClient) -> None:
    description = (await core.get("/ucloud/example/openapi.json")).json()
    paths = {
        (call["method"], call["path"].replace("PROVIDERID", "example"))
        for call in json.loads((DATA / "examples" / "index.json").read_text())
        if (call["path"] or "").startswith("/ucloud/PROVIDERID/jobs") and call["method"] in ("GET", "POST")
    }
    assert paths
    for method, path in paths:
        assert method.lower() in description["paths"][path], path


async def test_every_reference_of_the_description_leads_somewhere(core: httpx.AsyncClient) -> None:
    text = (await core.get("/ucloud/example/openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= schemas.keys()
    assert {"Job", "JobSpecification", "ComputeSupport", "CommonErrorMessage"} <= used
    create = json.loads(text)["paths"][JOBS]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"]
    assert {"200", "400", "401", "403", "413", "503"} <= create["responses"].keys()
    assert create["security"] == [{"core": []}]
