"""Bad input: each is a 4xx whose `why` tells what to do, and the engine never hears of it."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from tests.unit.provider.conftest import SETTINGS
from tests.unit.provider.fakes import RecordingService
from tests.unit.provider.recordings import example, recorded_create
from ucloud_ray.control.errors import NotFound, NotReady
from ucloud_ray.http_body import DISCARD_BYTES

JOBS = "/ucloud/example/jobs"

# ------------------------------------------------------------------------------------------- not what it should be

BROKEN = {
    "cut off": (b'{"items":[{"id"', "JSON"),
    "no JSON": (b"items=1", "line 1 column 1"),
    "not UTF-8": (b'{"items": "\xff"}', "JSON"),
    "NaN": (b'{"items": NaN}', "JSON"),
    "a number with too many digits": (b'{"items": [' + b"9" * 5000 + b"]}", "JSON"),
    "a list": (b"[]", "object"),
    "a text": (b'"items"', "object"),
    "null items": (b'{"items": [null]}', "items[0]"),
    "items that are no list": (b'{"items": {"id": "1"}}', "items must be a list"),
    "an item that is a text": (b'{"items": ["1"]}', "items[0] must be an object"),
    "brackets without end": (b"[" * 100_000, "JSON"),
    "deep nesting": (b'{"items":' + b"[" * 900 + b"]" * 900 + b"}", "nested"),
    "deep nesting of objects": (b'{"a":' * 300 + b"1" + b"}" * 300, "nested"),
    "NUL": (b'{"items": [{"id": "\\u0000"}]}', "items[0].id contains a NUL"),
    "NUL in a name": (b'{"items": [{"\\u0000": 1}]}', "NUL"),
    "half a character": (b'{"items": [{"id": "\\ud800"}]}', "JSON"),
    "half a character beside a long number": (b'{"items": [{"n": 1e30, "id": "\\ud800"}]}', "JSON"),
    "half a character in a name": (b'{"items": [{"n": 1e30, "\\udfff": "x"}]}', "JSON"),
    "NUL beside a long number": (b'{"items": [{"n": 1e30, "id": "\\u0000"}]}', "items[0].id contains"),
    "an item without anything": (b'{"items": [{}]}', "items[0].id is missing"),
    "1001 items": (b'{"items": [' + b",".join([b"{}"] * 1001) + b"]}", "too many"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "word"), BROKEN.values(), ids=BROKEN)
async def test_a_body_that_is_broken_is_refused_saying_where(
    body: bytes, word: str, core: httpx.AsyncClient, service: RecordingService
) -> None:
    answer = await core.post(JOBS, content=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["why"]
    assert service.calls == []


# ---------------------------------------------------------------------------------------------- wrong in a field


Change = Callable[[dict[str, Any]], None]


def _set(path: str, value: Any) -> Change:
    """Changes one field of a job; `...` removes it."""

    def change(job: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        inner: Any = job
        for name in outer:
            inner = inner[int(name)] if isinstance(inner, list) else inner[name]
        if value is ...:
            del inner[last]
        else:
            inner[int(last) if isinstance(inner, list) else last] = value

    return change


def _all(*changes: Change) -> Change:
    def change(job: dict[str, Any]) -> None:
        for one in changes:
            one(job)

    return change


S, A = "specification", "status.resolvedApplication.invocation"
D = f"{A}.tool.tool.description"
TEXT = {"type": "text", "value": "x"}
NUMBER = {"type": "integer", "value": 1}

WRONG = {
    "no id": (_set("id", ...), "items[0].id is missing"),
    "id as a number": (_set("id", 4), "items[0].id must be a text"),
    "empty id": (_set("id", ""), "id of the job"),
    "id that is a path": (_set("id", "../../etc"), "id of the job"),
    "no createdAt": (_set("createdAt", None), "items[0].createdAt is missing"),
    "createdAt as a text": (_set("createdAt", "now"), "items[0].createdAt must be a whole number"),
    "createdAt as a fraction": (_set("createdAt", 1.5), "createdAt"),
    "createdAt beyond 64 bits": (_set("createdAt", 2**70), "createdAt"),
    "no owner": (_set("owner", None), "owner"),
    "no product": (_set(f"{S}.product", None), "items[0].specification.product is missing"),
    "unknown product": (_set(f"{S}.product.id", "huge"), "no machine 'huge'"),
    "unknown category": (_set(f"{S}.product.category", "huge"), "no machine"),
    "product of another provider": (_set(f"{S}.product.provider", "other"), "another provider"),
    "no application": (_set("status.resolvedApplication", None), "without its application"),
    "no tool": (_set(f"{A}.tool.tool", None), "without its tool"),
    "replicas 0": (_set(f"{S}.replicas", 0), "at least 1"),
    "replicas -1": (_set(f"{S}.replicas", -1), "at least 1"),
    "replicas beyond all clusters": (_set(f"{S}.replicas", 10**9), "at most"),
    "replicas beyond 64 bits": (_set(f"{S}.replicas", 2**80), "at most"),
    "replicas as a text": (_set(f"{S}.replicas", "2"), "items[0].specification.replicas must be a whole number"),
    "replicas as true": (_set(f"{S}.replicas", True), "specification.replicas"),
    "replicas as a fraction": (_set(f"{S}.replicas", 1.5), "specification.replicas"),
    "time zero": (_set(f"{S}.timeAllocation", {"hours": 0, "minutes": 0, "seconds": 0}), "more than zero"),
    "time empty": (_set(f"{S}.timeAllocation", {}), "more than zero"),
    "time negative": (_set(f"{S}.timeAllocation.hours", -1), "more than zero"),
    "time beyond all dates": (_set(f"{S}.timeAllocation.hours", 2_000_000_000), "too long"),
    "time beyond 64 bits": (_set(f"{S}.timeAllocation.hours", 2**80), "timeAllocation.hours"),
    "time as a number": (_set(f"{S}.timeAllocation", 5), "timeAllocation must be an object"),
    "mandatory parameter missing": (_set(f"{S}.parameters", None), "Message"),
    "mandatory parameter of another type": (_set(f"{S}.parameters.message", NUMBER), "Message"),
    "value without a type": (_set(f"{S}.parameters.message", {"value": "x"}), "parameters.message.type is missing"),
    "text that is a number": (_set(f"{S}.parameters.message.value", 1), "parameters.message.value must be a text"),
    "parameters as a list": (_set(f"{S}.parameters", [TEXT]), "parameters must be an object"),
    "NUL in a value": (_set(f"{S}.parameters.message.value", "a\0b"), "parameters.message.value contains a NUL"),
    "resource of an unknown kind": (_set(f"{S}.resources", [{"type": "quantum", "id": "1"}]), "quantum"),
    "resource that is a text": (_set(f"{S}.resources", [TEXT]), "'text'"),
    "block storage": (_set(f"{S}.resources", [{"type": "block_storage", "id": "1"}]), "block storage"),
    "public link": (_set(f"{S}.resources", [{"type": "ingress", "id": "1"}]), "public links"),
    "public address": (_set(f"{S}.resources", [{"type": "network", "id": "1"}]), "public IP"),
    "private network": (_set(f"{S}.resources", [{"type": "private_network", "id": "1"}]), "private networks"),
    "peer of itself": (_set(f"{S}.resources", [{"type": "peer", "hostname": "LocalHost", "jobId": "1"}]), "itself"),
    "licence": (_set(f"{S}.parameters.lic", {"type": "license_server", "id": "1"}), "licence"),
    "file with ..": (_set(f"{S}.resources", [{"type": "file", "path": "/87/../1"}]), ".."),
    "file at a reserved place": (
        _set(f"{S}.resources", [{"type": "file", "path": "/87/a", "mountPath": "/etc/ucloud"}]), "/etc/ucloud",
    ),
    "file without a drive": (_set(f"{S}.resources", [{"type": "file", "path": ""}]), "path"),
    "SSH for an application without": (_all(_set(f"{S}.sshEnabled", True), _set(f"{A}.ssh", None)), "no SSH server"),
    "singularity": (_set(f"{D}.backend", "SINGULARITY"), "SINGULARITY"),
    "UCX": (_set(f"{D}.backend", "UCX"), "UCX"),
    "no image": (_all(_set(f"{D}.image", ""), _set(f"{D}.container", None)), "image"),
    "a template among words": (_set(f"{A}.invocation.0", {"type": "jinja", "template": "x"}), "template"),
    "a variable that is no name": (_set(f"{A}.environment", {"1=2": {"type": "word", "word": "x"}}), "1=2"),
    "one application on two nodes": (
        _all(_set(f"{S}.replicas", 2), _set(f"{A}.allowMultiNode", False)), "one node",
    ),
    "a machine with two nodes": (
        _all(_set(f"{S}.replicas", 2), _set(f"{D}.backend", "VIRTUAL_MACHINE")), "one node",
    ),
    "a link for two nodes": (
        _all(_set(f"{S}.replicas", 2), _set(f"{S}.resources", [{"type": "ingress", "id": "1"}])),
        "only be used by jobs with one node",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "word"), WRONG.values(), ids=WRONG)
async def test_a_job_that_is_wrong_is_refused_naming_the_reason(
    change: Change, word: str, core: httpx.AsyncClient, service: RecordingService
) -> None:
    body = recorded_create()
    change(body["items"][0])
    answer = await core.post(JOBS, content=json.dumps(body).encode())
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["why"]
    assert service.calls == []


async def test_one_wrong_job_in_a_request_starts_none_of_them(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """REC-17."""
    good = recorded_create()["items"][0]
    wrong = copy.deepcopy(good) | {"id": "5"}
    wrong["specification"]["replicas"] = 0
    answer = await core.post(JOBS, json={"items": [good, wrong]})
    assert answer.status_code == 400
    assert service.calls == []


async def test_one_job_twice_in_a_request_is_refused(core: httpx.AsyncClient, service: RecordingService) -> None:
    job = recorded_create()["items"][0]
    answer = await core.post(JOBS, json={"items": [job, job]})
    assert (answer.status_code, "twice" in answer.json()["why"]) == (400, True)
    assert service.calls == []


# ------------------------------------------------------------------------------------------------------- too large


async def test_a_declared_size_above_the_limit_is_refused_unread_to_whoever_asks_first(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    async def unwanted() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Length": str(100 * 1024 * 1024), "Expect": "100-continue"}
    answer = await core.post(JOBS, content=unwanted(), headers=headers)
    assert answer.status_code == 413
    assert service.calls == []


async def test_a_declared_size_above_the_limit_is_thrown_away_while_it_is_refused(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    """A sender that is cut off while it sends never sees why."""
    taken = []

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            taken.append(b" " * 1_000_000)
            yield taken[-1]

    answer = await core.post(JOBS, content=pieces(), headers={"Content-Length": str(20_000_000)})
    assert answer.status_code == 413
    assert len(taken) == 20
    assert answer.headers["connection"] == "close"
    assert "larger" in answer.json()["why"]
    assert service.calls == []


async def test_a_body_without_a_size_and_without_an_end_is_not_read_for_ever(
    app: FastAPI, core_headers: dict[str, str], service: RecordingService
) -> None:
    """Chunked: seen at the server's interface, because a client cannot tell how much was read. Some of it is thrown
    away, so that a sender who ends gets to see the answer."""
    read, sent = [], []
    piece = b" " * 50_000

    async def receive() -> dict[str, Any]:
        read.append(len(piece))
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in core_headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": JOBS,
        "raw_path": JOBS.encode(), "query_string": b"", "root_path": "", "scheme": "http", "server": ("p", 80),
        "client": ("c", 1), "headers": headers,
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert sum(read) <= SETTINGS.provider.max_body_bytes + DISCARD_BYTES + 2 * len(piece)
    assert service.calls == []


# -------------------------------------------------------------------------------------------------- other mistakes


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ucloud/example/nothing", 404),
        ("GET", "/ucloud/other/jobs/retrieveProducts", 404),
        ("POST", "/ucloud/example/iapps/syncthing/retrieve", 404),
        ("POST", "/ucloud/example/jobs/", 404),
        ("GET", "/ucloud/example/jobs", 405),
        ("PUT", "/ucloud/example/jobs/terminate", 405),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
    ],
)
async def test_a_call_that_does_not_exist_is_answered_in_json(
    method: str, path: str, status: int, core: httpx.AsyncClient
) -> None:
    answer = await core.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"why", "errorCode"}


async def test_what_the_engine_refuses_is_passed_on(core: httpx.AsyncClient, service: RecordingService) -> None:
    service.failure = NotReady("The provider is starting; try again in a moment", "STARTING")
    answer = await core.post(JOBS, json=recorded_create())
    assert answer.status_code == 503
    assert answer.json() == {"why": "The provider is starting; try again in a moment", "errorCode": "STARTING"}


async def test_an_unknown_job_cannot_be_extended(core: httpx.AsyncClient, service: RecordingService) -> None:
    service.failure = NotFound("This provider does not know the job")
    answer = await core.post(f"{JOBS}/extend", json=example("derived-provider-extend.request"))
    assert answer.status_code == 404


async def test_a_bug_is_told_by_a_reference_and_nothing_else(
    core: httpx.AsyncClient, service: RecordingService
) -> None:
    service.failure = RuntimeError("secret detail")
    with structlog.testing.capture_logs() as logs:
        answer = await core.post(JOBS, json=recorded_create())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["reference"] in answer.json()["why"]
    assert line["exc_info"] is service.failure
