"""What a user does with jobs over the end-user API, with real processes and real containers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.follow import following, printed
from tests.support.stack import (
    DOCKER_SHELL,
    NATIVE_SHELL,
    NO_DOCKER,
    PROVIDER,
    Stack,
    specification,
    states,
    texts,
)
from tests.support.wait import wait_until

HOUR = {"hours": 1, "minutes": 0, "seconds": 0}
HOUR_MILLIS = 3_600_000
WAITS = "echo ready; exec sleep 600"


@pytest.fixture(params=[pytest.param(NATIVE_SHELL, id="process"), pytest.param(DOCKER_SHELL, id="container")])
def shell(request: pytest.FixtureRequest) -> dict[str, str]:
    """An application that runs the script in `var`."""
    if request.param == DOCKER_SHELL:
        request.getfixturevalue("needs_docker")
    found: dict[str, str] = request.param
    return found


# ------------------------------------------------------------------------------------------------- how jobs end


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("true", "The job has finished processing!"),
        ("exit 3", "The job has finished processing! (exit code 3)"),
        ("exec /no/such/program", "The job has finished processing! (exit code 127)"),
        ("kill -9 $$", "The job has finished processing! (signal 9)"),
    ],
)
def test_every_end_of_the_program_is_success_and_told_in_words(
    shells: Stack, shell: dict[str, str], script: str, text: str
) -> None:
    """LC-10, LC-12."""
    job = shells.run(shell, var=script)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == text
    times = [update["timestamp"] for update in job["updates"]]
    assert all(earlier <= later for earlier, later in pairwise(times))
    told = [update["timestamp"] for update in job["updates"] if update["state"]]
    assert all(earlier < later for earlier, later in pairwise(told))


def test_both_streams_are_kept_apart_and_land_in_the_job_folder(shells: Stack, shell: dict[str, str]) -> None:
    """LOG-4, LOG-15."""
    job_id = shells.create(shell, var="echo out; echo bad >&2; printf 'no newline'")
    job = shells.wait_state(job_id)
    with following(shells, job_id) as frames:
        seen = list(frames)
    assert (printed(seen), printed(seen, stream="stderr")) == ("out\nno newline", "bad\n")
    folder = job_folder(shells, job)
    assert (folder / "stdout-0.log").read_text() == "out\nno newline"
    assert (folder / "stderr-0.log").read_text() == "bad\n"


def test_what_the_program_writes_is_in_the_job_folder_afterwards(shells: Stack, shell: dict[str, str]) -> None:
    job = shells.run(shell, var="echo result > result.txt")
    assert (job_folder(shells, job) / "result.txt").read_text() == "result\n"


def test_two_nodes_run_the_same_command_with_a_rank_each(shells: Stack, shell: dict[str, str]) -> None:
    """LC-9."""
    job_id = shells.create(shell, var="echo rank $UCLOUD_RANK of $UCLOUD_TASK_COUNT", replicas=2)
    shells.wait_state(job_id)
    with following(shells, job_id) as frames:
        seen = list(frames)
    assert [printed(seen, rank) for rank in range(2)] == ["rank 0 of 2\n", "rank 1 of 2\n"]


def job_folder(stack: Stack, job: dict[str, Any]) -> Path:
    """Where the output folder that the user was told of lies on this machine."""
    (told,) = {update["outputFolder"] for update in job["updates"] if update["outputFolder"]}
    inside = told.strip("/").split("/", 1)[1]
    (found,) = (stack.data / "drives/user").glob(f"*/{inside}")
    return found


# ---------------------------------------------------------------------------------------------------- stopping


def test_a_terminated_job_is_cancelled_and_then_a_success(shells: Stack, shell: dict[str, str]) -> None:
    """T9, T13, LC-12."""
    job_id = shells.create(shell, var=WAITS)
    shells.wait_state(job_id, "RUNNING")
    assert shells.post("/api/jobs/terminate", {"id": job_id}) == {"responses": [{}]}
    job = shells.wait_state(job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert texts(job)[-2:] == ["Your job is being cancelled", "Your job has been cancelled!"]


def test_a_job_that_waits_is_cancelled_without_ever_running(shells: Stack) -> None:
    """T3."""
    big = {"id": "example-compute", "category": "example-compute", "provider": PROVIDER}
    blockers = [shells.create(NATIVE_SHELL, var=WAITS, product=big) for _ in range(4)]
    for blocker in blockers:
        shells.wait_state(blocker, "RUNNING")
    waiting = shells.create(NATIVE_SHELL, var="touch started", product=big)
    shells.post("/api/jobs/terminate", {"id": waiting})
    job = shells.wait_state(waiting)
    shells.stop(*blockers)
    assert states(job) == ["IN_QUEUE", "CANCELING", "SUCCESS"]
    assert job["status"]["startedAt"] is None


def test_terminating_a_job_that_is_over_changes_nothing(shells: Stack) -> None:
    """LC-1."""
    before = shells.run(NATIVE_SHELL, var="exit 3")
    shells.post("/api/jobs/terminate", {"id": before["id"]})
    shells.run(NATIVE_SHELL, var="true")
    assert shells.job(before["id"]) == before


# ----------------------------------------------------------------------------------------------- several at once


def test_jobs_of_one_request_run_each_with_its_own_id_and_output(shells: Stack) -> None:
    items = [specification(NATIVE_SHELL, var=f"echo number {number}") for number in range(5)]
    ids = [response["id"] for response in shells.post("/api/jobs", *items)["responses"]]
    assert len(set(ids)) == 5
    for number, job_id in enumerate(ids):
        assert shells.wait_state(job_id)["status"]["state"] == "SUCCESS"
        with following(shells, job_id) as frames:
            assert printed(list(frames)) == f"number {number}\n"


def test_one_wrong_item_refuses_the_whole_request(shells: Stack) -> None:
    before = shells.get("/api/jobs/browse", itemsPerPage=1)["items"][0]["id"]
    items = [specification(NATIVE_SHELL, var="true"), specification(NATIVE_SHELL, replicas=0)]
    answer = shells.http.post("/api/jobs", json={"items": items})
    assert answer.status_code == 400
    assert shells.get("/api/jobs/browse", itemsPerPage=1)["items"][0]["id"] == before


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        ("includeApplication", "resolvedApplication"),
        ("includeProduct", "resolvedProduct"),
        ("includeSupport", "resolvedSupport"),
        ("includeParameters", "jobParametersJson"),
    ],
)
def test_a_flag_adds_its_field_and_nothing_else(shells: Stack, flag: str, field: str) -> None:
    job_id = shells.run(NATIVE_SHELL, var="true")["id"]
    plain = shells.get("/api/jobs/retrieve", id=job_id)
    asked = shells.get("/api/jobs/retrieve", id=job_id, **{flag: "true"})
    assert plain["status"][field] is None
    assert asked["status"][field]
    asked["status"][field] = None
    assert asked == plain


def test_updates_are_shown_when_asked_for(shells: Stack) -> None:
    job_id = shells.run(NATIVE_SHELL, var="true")["id"]
    assert shells.get("/api/jobs/retrieve", id=job_id)["updates"] == []
    assert len(shells.get("/api/jobs/retrieve", id=job_id, includeUpdates="true")["updates"]) >= 3


def test_browsing_pages_through_all_jobs_newest_first(shells: Stack) -> None:
    items = [specification(NATIVE_SHELL, var="true") for _ in range(5)]
    created = [response["id"] for response in shells.post("/api/jobs", *items)["responses"]]
    pages = [shells.get("/api/jobs/browse", itemsPerPage=2)]
    while pages[-1]["next"] and len(pages) < 3:
        pages.append(shells.get("/api/jobs/browse", itemsPerPage=2, next=pages[-1]["next"]))
    seen = [job["id"] for page in pages for job in page["items"]]
    assert seen[:5] == created[::-1]
    for job_id in created:
        shells.wait_state(job_id)


def test_browsing_by_state_shows_those_jobs_only(shells: Stack) -> None:
    running = shells.create(NATIVE_SHELL, var=WAITS)
    shells.wait_state(running, "RUNNING")
    found = shells.get("/api/jobs/browse", filterState="RUNNING", itemsPerPage=50)["items"]
    shells.stop(running)
    assert [job["id"] for job in found] == [running]


def test_other_users_neither_see_nor_stop_a_job(shells: Stack) -> None:
    job_id = shells.create(NATIVE_SHELL, var=WAITS)
    shells.wait_state(job_id, "RUNNING")
    stranger = {"Authorization": f"Bearer {shells.token('stranger')}"}
    assert shells.http.get("/api/jobs/retrieve", params={"id": job_id}, headers=stranger).status_code == 404
    assert shells.http.get("/api/jobs/browse", headers=stranger).json()["items"] == []
    body = {"items": [{"id": job_id}]}
    assert shells.http.post("/api/jobs/terminate", json=body, headers=stranger).status_code == 404
    assert shells.job(job_id)["status"]["state"] == "RUNNING"
    shells.stop(job_id)


# -------------------------------------------------------------------------------------------------------- time


def test_an_extended_job_ends_later_by_exactly_what_was_asked(shells: Stack) -> None:
    """LC-24, TIME-5, TIME-6."""
    job_id = shells.create(NATIVE_SHELL, var=WAITS, timeAllocation=HOUR)
    before = shells.wait_state(job_id, "RUNNING")
    assert shells.post("/api/jobs/extend", {"jobId": job_id, "requestedTime": HOUR}) == {"responses": [{}]}
    after = wait_expiry(shells, job_id, before["status"]["expiresAt"] + HOUR_MILLIS)
    assert after["specification"]["timeAllocation"] == HOUR
    assert after["updates"][-1]["newTimeAllocation"] == 2 * HOUR_MILLIS
    assert texts(after)[-1] == "Your job has been extended by 1 hour"
    shells.stop(job_id)


def wait_expiry(stack: Stack, job_id: str, expected: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = stack.job(job_id)
        return job if job["status"]["expiresAt"] == expected else None

    found = wait_until(look, f"job {job_id} to expire at {expected}")
    assert found is not None
    return found


def test_a_job_without_a_time_has_nothing_to_extend(shells: Stack) -> None:
    """TIME-7."""
    job_id = shells.create(NATIVE_SHELL, var=WAITS)
    before = shells.wait_state(job_id, "RUNNING")
    assert shells.post("/api/jobs/extend", {"jobId": job_id, "requestedTime": HOUR}) == {"responses": [{}]}
    shells.run(NATIVE_SHELL, var="true")
    after = shells.job(job_id)
    assert after["status"]["expiresAt"] is None
    assert states(after) == states(before)
    shells.stop(job_id)


def test_a_job_that_is_over_cannot_be_extended(shells: Stack) -> None:
    """TIME-7. It has said its last word (LC-1, decision 0004)."""
    job = shells.run(NATIVE_SHELL, var="true", timeAllocation=HOUR)
    items = [{"jobId": job["id"], "requestedTime": HOUR}]
    answer = shells.http.post("/api/jobs/extend", json={"items": items})
    assert (answer.status_code, answer.json()["why"]) == (400, "The job has ended and cannot be extended.")
    shells.run(NATIVE_SHELL, var="true")
    assert shells.job(job["id"]) == job


def test_a_job_whose_time_is_over_is_stopped_and_expired(shells: Stack, shell: dict[str, str]) -> None:
    """T8, TIME-2, TIME-10: the program hears of it, and what it says last is kept."""
    script = "trap 'echo the last words; exit 3' TERM; sleep 600 & wait"
    job = shells.run(shell, var=script, timeAllocation={"hours": 0, "minutes": 0, "seconds": 1})
    assert states(job) == ["IN_QUEUE", "RUNNING", "EXPIRED"]
    assert texts(job)[-1] == "Your job has expired"
    assert "the last words\n" in shells.output(job["id"])


# ---------------------------------------------------------------------------------------------- what is offered


def test_the_products_say_what_works_here(shells: Stack) -> None:
    by_name = {entry["product"]["name"]: entry["support"] for entry in shells.support()}
    assert set(by_name) == {"example-compute", "example-small"}
    for support in by_name.values():
        assert support["docker"]["enabled"] is (shells.docker_url != NO_DOCKER)
        assert support["native"]["enabled"] is True
        assert support["virtualMachine"]["enabled"] is not True
        assert support["native"]["terminal"] is True
        for flag in ("web", "vnc", "peers"):
            assert support["native"][flag] is False
        for flag in ("web", "vnc", "terminal", "peers"):
            assert support["docker"][flag] is (shells.docker_url != NO_DOCKER)


def test_the_utilization_counts_what_is_in_use(shells: Stack) -> None:
    job_id = shells.create(NATIVE_SHELL, var=WAITS)
    shells.wait_state(job_id, "RUNNING")
    shown = shells.get("/api/jobs/retrieveUtilization", jobId=job_id)
    shells.stop(job_id)
    assert shown == {
        "capacity": {"cpu": 40, "memory": 80_000_000_000},
        "usedCapacity": {"cpu": 1, "memory": 2_000_000_000},
        "queueStatus": {"running": 1, "pending": 0},
    }
