"""Conformance points 1 to 3, 10, 11 and 15: how a job ends, and what is told of it. Two of them are elsewhere:

1 `test_jobs.test_every_end_of_the_program_is_success_and_told_in_words`,
10 `test_jobs.test_an_extended_job_ends_later_by_exactly_what_was_asked`. See `docs/conformance.md`.
"""

from __future__ import annotations

from itertools import pairwise

from tests.e2e.conformance.looking import as_sent, environments_of, job_folder, processes_of, put
from tests.support.follow import following, printed
from tests.support.stack import NATIVE_SHELL, PROVIDER, Stack, states, texts
from tests.support.wait import wait_until

HOUR = {"hours": 1, "minutes": 0, "seconds": 0}
SECOND = {"hours": 0, "minutes": 0, "seconds": 1}
BIG = {"id": "example-compute", "category": "example-compute", "provider": PROVIDER}
ALL_OF_IT = 4
"""So many of `BIG` fill the machine."""
WAITS = "exec sleep 600"


def test_point_2_every_state_is_told_in_a_request_of_its_own_and_the_queue_first(
    catalogue: Stack, shell: dict[str, str]
) -> None:
    """1.6, LC-3, LC-20: what comes in one request has one time."""
    job = catalogue.run(shell, var="true")
    assert texts(job)[0] == "Your job is now waiting in the queue!"
    told = [update for update in job["updates"] if update["state"]]
    assert [update["state"] for update in told] == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert all(earlier["timestamp"] < later["timestamp"] for earlier, later in pairwise(told))
    assert all(update["status"] for update in job["updates"]), "W5"


def test_point_2_nothing_follows_a_final_state_whatever_is_asked(catalogue: Stack) -> None:
    """LC-1, 11.4: each of these is an occasion on which a provider could say something more."""
    before = catalogue.run(NATIVE_SHELL, var="exit 3", timeAllocation=HOUR)
    sent = as_sent(catalogue, before["id"])
    core = catalogue.as_core
    answers = {
        path: core.post(f"/jobs/{path}".rstrip("/"), json={"items": [item]}).status_code
        for path, item in {
            "": sent,
            "terminate": sent,
            "extend": {"job": sent, "requestedTime": HOUR},
            "suspend": {"job": sent},
            "unsuspend": {"job": sent},
            "verify": sent,
        }.items()
    }
    assert answers == {"": 200, "terminate": 200, "extend": 400, "suspend": 400, "unsuspend": 400, "verify": 200}
    catalogue.run(NATIVE_SHELL, var="true")  # its updates come after whatever was said about the first
    assert catalogue.job(before["id"]) == catalogue.job(before["id"]) == before


def test_point_3_the_first_rank_that_ends_ends_all(catalogue: Stack, shell: dict[str, str]) -> None:
    """LC-5 to LC-7: when RUNNING is told every rank is there; the one that ends takes the others along."""
    script = (
        "trap 'echo stopped; exit 0' TERM; [ $UCLOUD_RANK != 1 ] || until [ -e go ]; do sleep 0.1; done; "
        "[ $UCLOUD_RANK = 1 ] && exit 7; sleep 600 & wait"
    )
    job_id = catalogue.create(shell, var=script, replicas=3)
    running = catalogue.wait_state(job_id, "RUNNING")
    assert {variables["UCLOUD_RANK"] for variables in environments_of(job_id).values()} == {"0", "1", "2"}
    put(job_folder(catalogue, running) / "go", "")
    job = catalogue.wait_state(job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == "The job has finished processing! (exit code 7)"
    with following(catalogue, job_id) as frames:
        seen = list(frames)
    assert [printed(seen, rank) for rank in range(3)] == ["stopped\n", "", "stopped\n"]
    assert processes_of(job_id) == []


def test_point_11_time_in_the_queue_does_not_count_and_only_the_deadline_expires(catalogue: Stack) -> None:
    """LC-2, TIME-3, TIME-10: a job that waited for longer than its time runs, and for all of its time."""
    blockers = [catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG) for _ in range(ALL_OF_IT - 1)]
    blockers.append(catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG, timeAllocation={**SECOND, "seconds": 2}))
    for blocker in blockers:
        catalogue.wait_state(blocker, "RUNNING")
    waiting = catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG, timeAllocation=SECOND)
    stopped = catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG, timeAllocation=SECOND)
    expired = catalogue.wait_state(blockers[-1])  # two seconds later, while the others still wait
    assert states(expired) == ["IN_QUEUE", "RUNNING", "EXPIRED"]
    catalogue.stop(stopped, *blockers)
    job = catalogue.wait_state(waiting)
    assert states(job) == ["IN_QUEUE", "RUNNING", "EXPIRED"]
    when = {update["state"]: update["timestamp"] for update in job["updates"] if update["state"]}
    assert when["EXPIRED"] - when["RUNNING"] >= 900
    assert when["RUNNING"] - when["IN_QUEUE"] >= 1000
    assert {states(catalogue.job(other))[-1] for other in (stopped, *blockers[:-1])} == {"SUCCESS"}


def test_point_15_an_unknown_job_is_a_failure_for_verify_and_fine_for_terminate(catalogue: Stack) -> None:
    """REC-12, 11.4, O3: the Core asks about a newer job of an id than the one that we had."""
    job = as_sent(catalogue, catalogue.run(NATIVE_SHELL, var="true")["id"])
    unknown = job | {"createdAt": job["createdAt"] + 1, "status": job["status"] | {"state": "RUNNING"}}
    assert catalogue.as_core.post("/jobs/terminate", json={"items": [unknown]}).json() == {"responses": [{}]}
    catalogue.run(NATIVE_SHELL, var="true")  # its updates come after whatever was said about the first
    assert states(catalogue.job(job["id"])) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    for _ in range(3):
        assert catalogue.as_core.post("/jobs/verify", json={"items": [unknown]}).status_code == 200
    catalogue.run(NATIVE_SHELL, var="true")
    after = catalogue.job(job["id"])
    assert states(after) == ["IN_QUEUE", "RUNNING", "SUCCESS", "FAILURE"]
    assert texts(after)[-1] == "Your job is no longer available"


def test_point_20_a_job_that_does_not_fit_whole_starts_nothing(catalogue: Stack) -> None:
    """SCH-11 on one machine; over several machines see `tests/e2e/cluster`."""
    blockers = [catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG) for _ in range(ALL_OF_IT - 1)]
    for blocker in blockers:
        catalogue.wait_state(blocker, "RUNNING")
    pair = catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG, replicas=2)
    wait_until(lambda: any("no machines available" in text for text in texts(catalogue.job(pair))), "it to be told")
    last = catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG)
    catalogue.wait_state(last, "RUNNING")  # what is free is enough for one
    assert processes_of(pair) == []
    assert states(catalogue.job(pair)) == ["IN_QUEUE"]
    catalogue.stop(last, blockers[0])
    catalogue.wait_state(pair, "RUNNING")
    assert {variables["UCLOUD_RANK"] for variables in environments_of(pair).values()} == {"0", "1"}
    catalogue.stop(pair, *blockers)


def test_point_19_utilization_counts_sizes_and_jobs(catalogue: Stack) -> None:
    """SCH-17 to SCH-19: a job of three nodes is one job, idle ones count whole, and one that waits takes nothing."""
    running = catalogue.create(NATIVE_SHELL, var=WAITS, replicas=3)
    catalogue.wait_state(running, "RUNNING")
    blockers = [catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG) for _ in range(ALL_OF_IT - 1)]
    for blocker in blockers:
        catalogue.wait_state(blocker, "RUNNING")
    waiting = catalogue.create(NATIVE_SHELL, var=WAITS, product=BIG)
    shown = catalogue.get("/api/jobs/retrieveUtilization", jobId=running)
    catalogue.stop(waiting, *blockers, running)
    assert shown["queueStatus"] == {"running": ALL_OF_IT, "pending": 1}
    sizes = {entry["product"]["name"]: entry["product"] for entry in catalogue.support()}
    big, small = sizes["example-compute"], sizes["example-small"]
    assert shown["usedCapacity"]["cpu"] == 3 * small["cpu"] + (ALL_OF_IT - 1) * big["cpu"]
    expected = (3 * small["memoryInGigs"] + (ALL_OF_IT - 1) * big["memoryInGigs"]) * 10**9
    assert shown["usedCapacity"]["memory"] == expected
    empty = catalogue.get("/api/jobs/retrieveUtilization", jobId=running)
    assert empty["usedCapacity"] == {"cpu": 0, "memory": 0}
