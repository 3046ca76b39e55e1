"""Random requests at every route of both servers: never a 5xx, and afterwards everything still works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.stack import NO_DOCKER, PROVIDER, Stack, fresh_stack, states
from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.app import include_routes


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Stack]:
    """One of its own: random requests leave words about jobs behind that nobody knows."""
    with fresh_stack(NO_DOCKER) as running:
        yield running


# ------------------------------------------------------------------------------------- provider: by its description


def test_the_provider_answers_every_generated_request_without_a_server_error(fuzzed: Stack, tmp_path: Path) -> None:
    """schemathesis over its OpenAPI description: values at the edges of every field, then random ones."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{fuzzed.provider_url}/ucloud/{PROVIDER}/openapi.json"]
    options = ["--checks=not_a_server_error", "--phases=coverage,fuzzing", "--max-examples=5", "--no-color"]
    token = tokens.ServiceToken(fuzzed.keys).current()
    done = subprocess.run(
        [*command, *options, "--generation-deterministic", "-H", f"Authorization: Bearer {token}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


# ------------------------------------------------------------------------- orchestrator: by its routes and its fields

FIELDS = (
    "items", "id", "jobId", "requestedTime", "hours", "minutes", "seconds", "application", "name", "version", "product",
    "category", "provider", "parameters", "resources", "replicas", "timeAllocation", "update", "state", "status",
    "newTimeAllocation", "timestamp", "added", "deleted", "entity", "type", "username", "permissions", "newTitle",
    "sessionType", "rank", "refreshToken", "flags", "next", "itemsPerPage", "appName", "appVersion", "path", "period",
    "chargeId", "units", "periods", "owner", "projectId", "amount", "startDate", "endDate", "isDeltaCharge", "usage",
    "categoryIdV2", "description", "scope", "everybody", "allowRestart", "oldId", "newId",
    "conflictPolicy", "fingerprint",
)  # fmt: skip
"""Names that mean something somewhere, so that requests get past the first look."""

NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**63, 1e308]
SCALARS = [None, True, *NUMBERS, "", "1", "999999999", "user", "/home-user", "/home-user/a", "\0", "é", "a" * 300]
values = st.recursive(
    st.sampled_from(SCALARS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
bodies = st.one_of(
    st.builds(lambda items: json.dumps({"items": items}).encode(), st.lists(values, max_size=3)),
    st.builds(lambda value: json.dumps(value).encode(), values),
    st.binary(max_size=40),
)
queries = st.dictionaries(
    st.sampled_from((*FIELDS, "includeUpdates", "filterState", "sortBy", "sortDirection", "page", "providers", "area")),
    st.sampled_from([str(value)[:100] for value in SCALARS if value != "\0"]) | st.sampled_from(["%00", "\x01", "NaN"]),
    max_size=4,
)


def routes() -> list[tuple[str, str]]:
    """Method and path of everything that the orchestrator serves."""
    app = FastAPI()
    include_routes(app)
    paths = app.openapi()["paths"]
    return sorted((method.upper(), path) for path, methods in paths.items() for method in methods)


def test_all_routes_are_found() -> None:
    assert {("POST", "/api/jobs"), ("POST", "/api/jobs/control/update"), ("GET", "/api/hpc/apps")} <= set(routes())


@pytest.mark.parametrize(("method", "path"), routes(), ids=lambda part: part)
def test_the_orchestrator_answers_random_requests_without_a_server_error(fuzzed: Stack, method: str, path: str) -> None:
    callers = [fuzzed.token(), fuzzed.token(admin=True), tokens.provider_token(fuzzed.keys, PROVIDER)]

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(content=bodies, query=queries, token=st.sampled_from(callers))
    def ask(content: bytes, query: dict[str, str], token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        well_formed(fuzzed.http.request(method, path, content=content, params=query, headers=headers))

    ask()


OWNER = {"type": "user", "username": "fuzzed"}
CATEGORY = {"name": "example-compute", "provider": PROVIDER}
MONEY = {
    "/api/jobs/control/chargeCredits": {"id": "1", "chargeId": "c", "units": 1, "periods": 1, "description": "d"},
    "/api/jobs/control/checkCredits": {"id": "1", "chargeId": "d", "units": 1, "periods": 1, "performedBy": "p"},
    "/api/accounting/v2/reportUsage": {
        "isDeltaCharge": False,
        "owner": OWNER,
        "categoryIdV2": CATEGORY,
        "usage": 1,
        "description": {"scope": "job-1", "description": None},
    },
    "/api/accounting/wallets/grant": {
        "owner": OWNER,
        "category": CATEGORY,
        "amount": 1,
        "startDate": 1,
        "endDate": 9 * 10**12,
    },
}
"""Requests that are right: what is wrong with a field of them is not hidden by all the others."""


@pytest.mark.parametrize("path", MONEY)
def test_right_requests_about_money_with_wrong_fields_are_answered_without_a_server_error(
    fuzzed: Stack, path: str
) -> None:
    job_id = fuzzed.create(var="for the charges")
    with httpx.Client(base_url=fuzzed.url, timeout=30.0) as http:
        caller = fuzzed.token(admin=True) if path.endswith("grant") else tokens.provider_token(fuzzed.keys, PROVIDER)
        http.headers["Authorization"] = f"Bearer {caller}"
        good = MONEY[path] | ({"id": job_id} if "id" in MONEY[path] else {})
        assert http.post(path, json={"items": [good]}).status_code in (200, 403)  # nobody has heard of the owner yet

        @settings(max_examples=60, deadline=None, database=None, derandomize=True)
        @given(st.lists(st.dictionaries(st.sampled_from([*good, "username", "scope"]), values, max_size=2), max_size=3))
        def ask(changes: list[dict[str, Any]]) -> None:
            items = [good, *(_changed(good, one) for one in changes)]
            well_formed(http.post(path, content=json.dumps({"items": items}).encode()))

        ask()


def _changed(item: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The changes go wherever their names are, in the item or one below."""
    changed = dict(item)
    for name, value in changes.items():
        if name in changed:
            changed[name] = value
        else:
            inner = {key: {**part, name: value} for key, part in changed.items() if isinstance(part, dict)}
            changed.update(inner)
    return changed


def well_formed(answer: httpx.Response) -> None:
    assert answer.status_code < 500, f"{answer.status_code} {answer.text}"
    body = answer.json()
    if answer.status_code >= 400:
        assert body["why"], body


# -------------------------------------------------------------------------------------------------------- afterwards


def test_after_all_that_a_job_runs_and_its_story_is_told(fuzzed: Stack) -> None:
    """Some of the requests named jobs that the Core does not know: what is told about them blocks no other job."""
    assert states(fuzzed.run()) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
