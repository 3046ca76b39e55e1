"""The table "Validation" of the end-user API (4.2), row by row: what is refused, with which status, and nothing stored.

Rows that have tests of their own name them. Where the eras differ, the row says which one is followed here.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, batch
from tests.unit.orchestrator.test_creation import PRODUCT, stored

VAR = {"var": {"type": "text", "value": "x"}}


def file(path: str = "/51231/data", **changes: Any) -> dict[str, Any]:
    return {"type": "file", "path": path, "readOnly": False, **changes}


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    # row: what is changed in a job that is right, and a word of the answer
    "unknown application": ({"application": {"name": "nothing", "version": "1"}}, "application"),
    "unknown version": ({"application": {"name": "a-batch-application", "version": "9"}}, "application"),
    "unknown product": ({"product": {**PRODUCT, "id": "nothing"}}, "machine type"),
    "product of another provider": ({"product": {**PRODUCT, "provider": "elsewhere"}}, "machine type"),
    "timeAllocation of zero": ({"timeAllocation": {"hours": 0, "minutes": 0, "seconds": 0}}, "too short"),
    "negative timeAllocation": ({"timeAllocation": {"hours": 0, "minutes": -1, "seconds": 0}}, "too short"),
    "no replicas": ({"replicas": 0}, "replicas"),
    "negative replicas": ({"replicas": -1}, "replicas"),
    "sshEnabled although the application forbids it": ({"sshEnabled": True}, "SSH"),
    "name with a slash (K)": ({"name": "a/b"}, "name"),
    "name with a letter that is none (K)": ({"name": "a;b"}, "name"),
    "name of 201 characters (K)": ({"name": "x" * 201}, "name"),
    "unknown parameter": ({"parameters": {**VAR, "other": {"type": "text", "value": "x"}}}, "other"),
    "parameter of the wrong type": ({"parameters": {"var": {"type": "integer", "value": 1}}}, "var"),
    "mandatory parameter missing": ({"parameters": {}}, "var"),
    "relative mountPath (G)": ({"resources": [file(mountPath="data")]}, "absolute"),
    "mountPath /etc/ucloud (G)": ({"resources": [file(mountPath="/etc/ucloud")]}, "/etc/ucloud"),
    "mountPath below /etc/ucloud (G)": ({"resources": [file(mountPath="/etc/ucloud/x")]}, "/etc/ucloud"),
    "mountPath /opt/ucloud (G)": ({"resources": [file(mountPath="/opt/ucloud")]}, "/opt/ucloud"),
    "mountPath /work (G)": ({"resources": [file(mountPath="/work")]}, "/work"),
    "mountPath below /work (G)": ({"resources": [file(mountPath="/work/x/")]}, "/work"),
    "mountPath by a detour (G)": ({"resources": [file(mountPath="/data/../work/x")]}, "/work"),
    "one mountPath for two files (G)": (
        {"resources": [file(mountPath="/data"), file("/51231/other", mountPath="/data/")]},
        "both be mounted",
    ),
    "the application syncthing (G)": ({"application": {"name": "syncthing", "version": "1"}}, "application"),
    "parameters null although one is mandatory": ({"parameters": None}, "var"),
}


@pytest.mark.parametrize(("changes", "word"), ROWS.values(), ids=ROWS.keys())
async def test_a_job_that_a_row_forbids_is_refused_and_nothing_is_stored(
    setup: Setup, changes: dict[str, Any], word: str
) -> None:
    answer = await setup.post("/api/jobs", batch(**changes))
    assert (answer.status_code, word in answer.json()["why"]) == (400, True), answer.text
    assert setup.provider.calls("jobs") == []
    assert await stored(setup) == 0


ALLOWED: dict[str, dict[str, Any]] = {
    "an empty name (G)": {"name": ""},
    "a name of every allowed kind": {"name": "Run_1 (second): a-b"},
    "resources null (G; K refuses what its own examples send)": {"resources": None},
    "two files of one name (G; ENV-13 gives them numbers)": {"resources": [file(), file("/51231/other/data")]},
    "a parameter of the provider's own": {"parameters": {**VAR, "_injected_x": {"type": "text", "value": "y"}}},
    "the same job twice, whatever allowDuplicateJob says (late K, G)": {"allowDuplicateJob": False},
    "a mountPath elsewhere (G)": {"resources": [file(mountPath="/data")]},
    "the web client's extra fields (W16)": {"hostname": "", "labels": {}, "somethingNew": 1},
}


@pytest.mark.parametrize("changes", ALLOWED.values(), ids=ALLOWED.keys())
async def test_what_no_row_forbids_is_taken(setup: Setup, changes: dict[str, Any]) -> None:
    for _ in range(2):
        answer = await setup.post("/api/jobs", batch(**changes))
        assert answer.status_code == 200, answer.text


ELSEWHERE = {
    "backend not enabled": "test_creation.test_a_backend_that_the_product_does_not_support_is_refused",
    "file not readable": "test_drives.test_no_job_gets_a_file_that_its_user_may_not_read",
    "peer without EDIT": "test_peers.test_reading_is_not_enough_and_editing_is",
    "unknown peer": "test_peers.test_a_job_that_does_not_exist_cannot",
    "peer that does not run": "test_peers.test_a_job_that_does_not_run_cannot",
    "peer whose host name is not valid": "test_peers.test_a_name_that_is_no_label_is_refused",
    "two peers with one name": "test_peers.test_one_name_cannot_lead_to_two_jobs",
    "peers not supported": "test_peers.test_where_jobs_cannot_be_connected_a_peer_is_refused",
    "no credits": "test_wallets.test_a_job_without_money_is_refused_and_stored_nowhere",
    "readOnly by the caller's rights": "test_drives.test_who_may_only_read_gets_the_file_read_only",
}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_the_other_rows_have_tests_of_their_own(place: str) -> None:
    module, name = place.split(".")
    assert callable(getattr(importlib.import_module(f"tests.unit.orchestrator.{module}"), name))


# ------------------------------------------------------------------------------------------------ bulk requests

BULK = {
    "/api/jobs": batch()["items"][0],
    "/api/jobs/terminate": {"id": "1"},
    "/api/jobs/extend": {"jobId": "1", "requestedTime": {"hours": 1, "minutes": 0, "seconds": 0}},
    "/api/jobs/suspend": {"id": "1"},
    "/api/jobs/unsuspend": {"id": "1"},
    "/api/jobs/interactiveSession": {"id": "1", "rank": 0, "sessionType": "SHELL"},
    "/api/jobs/updateAcl": {"id": "1", "added": [], "deleted": []},
    "/api/jobs/rename": {"id": "1", "newTitle": "x"},
    "/api/jobs/updateLabels": {"id": "1", "labels": {}},
    "/api/jobs/openTerminalInFolder": {"folder": "/51231"},
}


@pytest.mark.parametrize("path", BULK)
@pytest.mark.parametrize("count", [0, 1001])
async def test_a_bulk_request_holds_one_to_a_thousand_items(setup: Setup, path: str, count: int) -> None:
    """1.1, K."""
    answer = await setup.post(path, {"type": "bulk", "items": [BULK[path]] * count})
    assert answer.status_code in (400, 413), answer.text
    assert [one for one in setup.provider.asked if one.method == "POST"] == []


@pytest.mark.parametrize("path", BULK)
async def test_a_bulk_request_that_is_half_valid_does_nothing(setup: Setup, path: str) -> None:
    answer = await setup.post(path, {"items": [BULK[path], {"id": 7, "folder": 7, "application": 7}]})
    assert answer.status_code == 400
    assert "items[1]" in answer.json()["why"]
    assert [one for one in setup.provider.asked if one.method == "POST"] == []
    assert await stored(setup) == 0
