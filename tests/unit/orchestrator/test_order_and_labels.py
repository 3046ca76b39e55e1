"""Sorted pages and labels of jobs (end-user-api 1.3, 3.1, 9; control-api 7.2)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup


async def pages(setup: Setup, size: int = 2, **query: Any) -> list[str]:
    """Ids, page by page."""
    found: list[str] = []
    token = ""
    while True:
        page = (await setup.get("/api/jobs/browse", itemsPerPage=size, next=token, **query)).json()
        found += [job["id"] for job in page["items"]]
        if not (token := page["next"] or ""):
            return found


async def running(setup: Setup, minutes: int) -> str:
    """A job that runs for so long."""
    job_id = await setup.create(timeAllocation={"hours": 0, "minutes": minutes, "seconds": 0})
    await setup.update(job_id, state="RUNNING")
    return job_id


@pytest.mark.parametrize("direction", ["ascending", "descending", ""])
async def test_jobs_are_sorted_by_the_time_that_is_left_and_those_without_an_end_are_last(
    setup: Setup, direction: str
) -> None:
    waits = await setup.create()
    by_minutes = {minutes: await running(setup, minutes) for minutes in (30, 10, 20)}
    over = await running(setup, 5)
    await setup.update(over, state="SUCCESS")
    found = await pages(setup, sortBy="timeLeft", sortDirection=direction)
    order = sorted(by_minutes, reverse=direction != "ascending")
    last = [waits, over] if direction == "ascending" else [over, waits]
    assert found == [by_minutes[minutes] for minutes in order] + last


@pytest.mark.parametrize("sort", ["timeLeft", "createdBy", "createdAt"])
@pytest.mark.parametrize("direction", ["ascending", "descending"])
async def test_jobs_that_come_and_go_between_two_pages_move_nobody(setup: Setup, sort: str, direction: str) -> None:
    """Every job that is there all the time is met once."""
    jobs = [await running(setup, minutes) for minutes in (5, 1, 3, 3, 2, 4)]
    query = {"sortBy": sort, "sortDirection": direction, "itemsPerPage": 2}
    first = (await setup.get("/api/jobs/browse", **query)).json()
    seen = [job["id"] for job in first["items"]]
    gone = next(job for job in jobs if job not in seen)
    await running(setup, 6)
    await running(setup, 1)
    removed = await setup.post("/api/jobs/delete", {"items": [{"id": gone}]}, setup.user("root", admin=True))
    assert removed.status_code == 200, removed.text
    token = first["next"]
    while token:
        page = (await setup.get("/api/jobs/browse", **query, next=token)).json()
        seen += [job["id"] for job in page["items"]]
        token = page["next"]
    assert len(seen) == len(set(seen))
    assert set(jobs) - {gone} <= set(seen)


@pytest.mark.parametrize("sort", ["timeLeft", "createdBy", "createdAt"])
@pytest.mark.parametrize(
    "token",
    ["x", "-1", "WyJ0aW1lTGVmdCIsIjEiLDFd", "WyJjcmVhdGVkQnkiLDEsMV0", "bnVsbA", "1.5", "ä", "WzFd", "W10"]
    + [
        base64.urlsafe_b64encode(json.dumps([sort, *forged]).encode()).decode()
        for sort, *forged in (
            ("timeLeft", 2**63, 1),
            ("timeLeft", 1, 2**63),
            ("timeLeft", True, 1),
            ("timeLeft", 1, 10**30),
            ("createdBy", "\0", 1),
            ("createdBy", "x", 2**63),
            ("createdBy", "x", True),
            ("createdBy", None, 1),
        )
    ],
)
async def test_a_token_that_no_page_gave_is_refused(setup: Setup, sort: str, token: str) -> None:
    answer = await setup.get("/api/jobs/browse", sortBy=sort, next=token)
    assert answer.status_code == 400
    assert answer.json()["why"].startswith("next: must be taken unchanged")


async def test_a_token_of_another_order_is_refused(setup: Setup) -> None:
    for _ in range(2):
        await setup.create()
    page = (await setup.get("/api/jobs/browse", sortBy="createdBy", itemsPerPage=1)).json()
    for sort in ("timeLeft", "createdAt"):
        assert (await setup.get("/api/jobs/browse", sortBy=sort, next=page["next"])).status_code == 400


async def test_an_order_that_nobody_knows_is_newest_first(setup: Setup) -> None:
    jobs = [await setup.create() for _ in range(3)]
    assert await pages(setup, sortBy="mood", sortDirection="ascending") == jobs[::-1]


# -------------------------------------------------------------------------------------------------------- labels


async def test_labels_of_the_creation_can_be_filtered_by_in_a_query_and_in_a_search(setup: Setup) -> None:
    both = await setup.create(labels={"team": "a", "kind": "x"})
    one = await setup.create(labels={"team": "a"})
    await setup.create(labels={"team": "b"})
    await setup.create()
    assert await pages(setup, **{"filterLabels.team": "a"}) == [one, both]
    assert await pages(setup, **{"filterLabels.team": "a", "filterLabels.kind": "x"}) == [both]
    for body in ({"filterLabels": {"kind": "x"}}, {"flags": {"filterLabels.kind": "x"}}):
        found = (await setup.post("/api/jobs/search", {"query": "", **body})).json()
        assert [job["id"] for job in found["items"]] == [both]


@pytest.mark.parametrize(
    "body",
    [
        {"filterLabels": {"a\0": "x"}},
        {"filterLabels": {"a": "\0"}},
        {"filterLabels": {"a": 1}},
        {"filterLabels": ["a"]},
        {"filterLabels.a\0": "x"},
    ],
)
async def test_labels_that_no_job_can_have_are_not_looked_for(setup: Setup, body: Any) -> None:
    answer = await setup.post("/api/jobs/search", {"query": "", **body})
    assert (answer.status_code, "NUL" in answer.text or "filterLabels" in answer.text) == (400, True), answer.text


async def test_new_labels_replace_all_old_ones_and_the_provider_is_told_first(setup: Setup) -> None:
    job_id = await setup.create(labels={"team": "a", "kind": "x"})
    other = await setup.create(labels={"team": "a"})
    items = [{"id": job_id, "labels": {"team": "b"}}]
    assert (await setup.post("/api/jobs/updateLabels", {"items": items})).json() == {}
    [told] = setup.provider.calls("jobs/onUpdatedLabels")
    assert told.body["items"][0]["specification"]["labels"] == {"team": "b"}
    assert (await setup.job(job_id))["specification"]["labels"] == {"team": "b"}
    assert await pages(setup, **{"filterLabels.team": "b"}) == [job_id]
    assert await pages(setup, **{"filterLabels.team": "a"}) == [other]
    await setup.post("/api/jobs/updateLabels", {"items": [{"id": job_id, "labels": None}]})
    assert "labels" not in (await setup.job(job_id))["specification"]


@pytest.mark.parametrize(("status", "changed"), [(404, True), (400, False), (503, False)])
async def test_only_a_provider_that_does_not_know_labels_is_overruled(setup: Setup, status: int, changed: bool) -> None:
    """Provider-api 6.14."""
    job_id = await setup.create()
    setup.provider.answer("jobs/onUpdatedLabels", {"why": "no"}, status)
    answer = await setup.post("/api/jobs/updateLabels", {"items": [{"id": job_id, "labels": {"a": "b"}}]})
    assert answer.status_code == (200 if changed else status)
    assert ("labels" in (await setup.job(job_id))["specification"]) is changed


async def test_a_provider_changes_labels_of_its_own_jobs_only(setup: Setup) -> None:
    job_id = await setup.create()
    items = [{"id": job_id, "labels": {"a": "b"}}, {"id": "999", "labels": {"a": "b"}}]
    answer = await setup.post("/api/jobs/control/updateLabels", {"items": items}, setup.as_provider())
    assert answer.status_code == 404
    assert await pages(setup, **{"filterLabels.a": "b"}) == [job_id]
    assert setup.provider.calls("jobs/onUpdatedLabels") == []


@pytest.mark.parametrize(
    "labels", [{"": "x"}, {"a\0": "x"}, {"a": "\0"}, {"a": "x" * 2000}, {str(n): "" for n in range(65)}, {"a": 1}, []]
)
async def test_labels_that_cannot_be_kept_are_refused(setup: Setup, labels: Any) -> None:
    job_id = await setup.create()
    answer = await setup.post("/api/jobs/updateLabels", {"items": [{"id": job_id, "labels": labels}]})
    assert answer.status_code == 400
    assert "labels" in answer.json()["why"]
    assert setup.provider.calls("jobs/onUpdatedLabels") == []


# ------------------------------------------------------------------------------------------------ kinds of jobs


async def test_jobs_that_are_no_machines_are_told_apart_from_machines(setup: Setup) -> None:
    job_id = await setup.create()
    assert await pages(setup, filterType="JOBS_ONLY") == [job_id]
    assert await pages(setup, filterType="VMS_ONLY") == []
    answer = await setup.get("/api/jobs/browse", filterType="CATS_ONLY")
    assert (answer.status_code, "VMS_ONLY" in answer.json()["why"]) == (400, True)
