"""Every call as UCloud/Core makes it, about a job that is unknown, active, over, or asked about twice (11.4).

The real provider over HTTP. A program counts its own starts in the job folder, so that a second copy cannot hide, and
what the Core was told is read from the orchestrator.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import httpx
import pytest

from tests.e2e.conformance.looking import as_sent, job_folder, processes_in, put
from tests.support.stack import NATIVE_SHELL, Stack, states, texts
from tests.support.stored import everything_stored
from tests.support.wait import wait_until

HOUR = {"hours": 1, "minutes": 0, "seconds": 0}
COUNTED = "echo start >> starts; while [ ! -e gate ]; do sleep 0.05; done"
ENDED = "echo start >> starts; exit 3"
LIVES = "echo start >> starts; [ $(wc -l < starts) = 1 ] || while [ ! -e gate ]; do sleep 0.05; done"
"""The first life ends by itself, the second when it is told."""
UNKNOWN = "987654320"
AT_ONCE = 8


@dataclass
class Sent:
    """A job of the Core's, and the document that it sends."""

    stack: Stack
    document: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def starts(self) -> int:
        file = job_folder(self.stack, self.stack.job(self.id)) / "starts"
        return file.read_text().count("start\n") if file.exists() else 0

    @property
    def told(self) -> list[str]:
        """States in order. The present one is said again after a refusal (W12); that is no transition."""
        return [state for state, _ in groupby(states(self.stack.job(self.id)))]

    def open_gate(self) -> None:
        put(job_folder(self.stack, self.stack.job(self.id)) / "gate", "")


@pytest.fixture(scope="module")
def jobs(shells: Stack) -> Iterator[Mapping[str, Sent]]:
    """By what they are. Those with a second name are used up by one test."""
    scripts = {"active": COUNTED, "replaced": COUNTED, "cancelled": COUNTED, "final": ENDED, "again": ENDED}
    ids = {kind: shells.create(NATIVE_SHELL, var=script, timeAllocation=HOUR) for kind, script in scripts.items()}
    ids["restartable"] = shells.create(NATIVE_SHELL, var=LIVES, restartOnExit=True)
    for kind in scripts:
        shells.wait_state(ids[kind], "SUCCESS" if scripts[kind] is ENDED else "RUNNING")
    made = {kind: Sent(shells, as_sent(shells, job)) for kind, job in ids.items()}
    for kind in scripts:
        wait_until(lambda sent=made[kind]: sent.starts == 1, f"the {kind} job to start")
    made["unknown"] = Sent(shells, made["active"].document | {"id": UNKNOWN})
    try:
        yield made
    finally:
        shells.stop(*ids.values())


def post(sent: Sent, path: str, *items: Any) -> httpx.Response:
    return sent.stack.as_core.post(f"/jobs/{path}".rstrip("/"), json={"items": list(items)})


def order(call: str, sent: Sent) -> httpx.Response:
    job = sent.document
    item = {
        "extend": {"job": job, "requestedTime": HOUR},
        "interactiveSession": {"job": job, "rank": 0, "sessionType": "SHELL"},
        "updateAcl": {"resource": job, "added": [], "deleted": []},
        "suspend": {"job": job},
        "unsuspend": {"job": job},
    }.get(call, job)
    return post(sent, "" if call == "create" else call, item)


ANSWERS = {
    # call: unknown, active, final
    "create": (None, 200, 200),
    "terminate": (200, None, 200),
    "suspend": (404, 400, 400),
    "unsuspend": (404, 400, 400),
    "extend": (404, None, 400),
    "interactiveSession": (404, 200, 400),
    "updateAcl": (200, 200, 200),
    "verify": (None, 200, 200),
    "init": (200, 200, 200),
}
"""None: a test of its own below, or `test_point_15` of the conformance tests for `verify` of an unknown job."""

ROWS = [
    pytest.param(call, kind, status, id=f"{call} {kind}")
    for call, row in ANSWERS.items()
    for kind, status in zip(("unknown", "active", "final"), row, strict=True)
    if status is not None
]


@pytest.mark.parametrize(("call", "kind", "status"), ROWS)
def test_the_answer_is_that_of_the_table_however_often_it_is_asked(
    jobs: Mapping[str, Sent], call: str, kind: str, status: int
) -> None:
    answers = [order(call, jobs[kind]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status], answers[0].text
    if (call, kind) == ("interactiveSession", "active"):
        assert answers[0].json() != answers[1].json(), "a credential of its own for each"
        return
    assert answers[0].json() == answers[1].json(), "for `create`: the same id of ours"


def test_after_all_of_that_nothing_was_started_told_or_kept(jobs: Mapping[str, Sent]) -> None:
    """Runs after the table: a later job's updates come after whatever was said about the earlier ones."""
    stack = jobs["active"].stack
    stack.run(NATIVE_SHELL, var="true")
    for kind, told in (("active", ["IN_QUEUE", "RUNNING"]), ("final", ["IN_QUEUE", "RUNNING", "SUCCESS"])):
        assert (jobs[kind].told, jobs[kind].starts) == (told, 1)
    rows = [row for table, rows in everything_stored(stack.data).items() for row in rows if "jobs.db/" in table]
    assert not [row for row in rows if UNKNOWN in row]


def test_a_job_is_extended_as_often_as_it_is_asked(jobs: Mapping[str, Sent]) -> None:
    """TIME-5, TIME-6: the one call that must not be repeated by who does not want it twice."""
    assert [order("extend", jobs["active"]).status_code for _ in range(2)] == [200, 200]
    stack = jobs["active"].stack
    wait_until(lambda: sum("extended" in text for text in texts(stack.job(jobs["active"].id))) == 2, "both to be told")


def test_a_job_that_is_cancelled_twice_at_once_and_again_is_cancelled_once(jobs: Mapping[str, Sent]) -> None:
    sent = jobs["cancelled"]
    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(lambda _: order("terminate", sent), range(2)), order("terminate", sent)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"responses": [{}]})] * 3
    sent.stack.wait_state(sent.id)
    assert order("terminate", sent).status_code == 200
    sent.stack.run(NATIVE_SHELL, var="true")
    assert states(sent.stack.job(sent.id)) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert sent.starts == 1


def test_a_create_that_is_repeated_while_it_is_under_way_starts_one_job(jobs: Mapping[str, Sent]) -> None:
    """REC-16: all get the one id. The Core has the job as ended and drops what is told of the other one (O3)."""
    sent = jobs["again"]
    another = sent.document | {"createdAt": sent.document["createdAt"] + 1}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: post(sent, "", another), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["responses"][0]["id"] for answer in answers}) == 1
    wait_until(lambda: sent.starts == 2, "the other job to start")
    wait_until(lambda: not _waiting(sent.stack), "its end to be told")
    assert sent.starts == 2, "one start each"


def test_a_create_with_another_time_is_another_job_and_the_first_one_is_stopped_and_forgotten(
    jobs: Mapping[str, Sent],
) -> None:
    """O3."""
    sent = jobs["replaced"]
    first, mine = processes_in(sent.stack, sent.id), order("create", sent).json()["responses"][0]["id"]
    another = sent.document | {"createdAt": sent.document["createdAt"] + 1}
    answers = [post(sent, "", another).json()["responses"][0]["id"] for _ in range(2)]
    assert answers[0] == answers[1] != mine
    wait_until(lambda: sent.starts == 2, "the second job to start")
    wait_until(lambda: not set(first) & set(processes_in(sent.stack, sent.id)), "the first one to be gone")
    assert post(sent, "terminate", sent.document).status_code == 200, "the first one is unknown now"
    assert processes_in(sent.stack, sent.id)
    assert post(sent, "terminate", another).status_code == 200
    sent.stack.wait_state(sent.id)
    running, over = ["IN_QUEUE", "RUNNING"], ["CANCELING", "SUCCESS"]
    assert sent.told == running + running + over, "nothing of the first one's end"
    assert sent.starts == 2


def test_a_request_with_one_bad_job_takes_none(jobs: Mapping[str, Sent]) -> None:
    """REC-17."""
    sent = jobs["final"]
    good = sent.document | {"createdAt": sent.document["createdAt"] + 1}
    bad = copy.deepcopy(good) | {"id": UNKNOWN}
    bad["specification"]["product"]["id"] = "no-such-machine"
    before = _accepted(sent.stack)
    for items in ((good, bad), (bad, good), (good, good)):
        assert post(sent, "", *items).status_code == 400
    sent.stack.run(NATIVE_SHELL, var="true")
    assert _accepted(sent.stack)[:-1] == before
    assert sent.starts == 1


def test_a_job_to_be_restarted_is_restarted_once_however_often_it_is_asked(jobs: Mapping[str, Sent]) -> None:
    """LC-26: by `create`, by `unsuspend`, and by the orchestrator's own order a moment later."""
    sent = jobs["restartable"]
    wait_until(lambda: "SUSPENDED" in sent.told, "the end of its first life")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda call: order(call, sent), ["create", "unsuspend", "create", "create"]))
    assert {answer.status_code for answer in answers} <= {200, 400}, "400: an `unsuspend` of what runs again"
    assert answers[0].status_code == 200
    wait_until(lambda: sent.told[-1] == "RUNNING" and sent.starts == 2, "the second life")
    order("create", sent)
    sent.stack.run(NATIVE_SHELL, var="true")
    assert sent.told == ["IN_QUEUE", "RUNNING", "SUSPENDED", "IN_QUEUE", "RUNNING"]
    assert sent.starts == 2


def _waiting(stack: Stack) -> list[Any]:
    """Updates that the Core has not accepted."""
    return everything_stored(stack.data)["jobs.db/outbox"]


def _accepted(stack: Stack) -> list[Any]:
    """Our ids of all jobs, in the order in which they were taken."""
    return [row[1] for row in everything_stored(stack.data)["jobs.db/jobs"]]
