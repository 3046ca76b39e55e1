"""Jobs whose creation was not answered, because something was killed in the middle of it.

UCloud may have them: then their user sees them beside those that he made instead, and cancels them. Or it has given
them up, and the provider has not heard of that: then it stops them when UCloud has denied them for five minutes
(REC-9), for which no test waits: here UCloud's order to terminate does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy

from tests.faults import books
from tests.faults.findings import Findings
from tests.faults.workload import Workload
from tests.support.stack import FINAL, states, story
from tests.support.wait import wait_until


@dataclass(frozen=True)
class Unanswered:
    twins: list[str]
    """Those that UCloud has."""
    given_up: list[str]
    """Those that only the provider has, also of earlier workloads."""


def end_unanswered(workload: Workload) -> Unanswered:
    """Returns when all of them are over."""
    stack, ours = workload.stack, {job.id for job in workload.jobs.values()}
    names = {plan.name for plan in workload.plans}
    shown = [job for job in books.jobs_of_user(stack) if job["id"] not in ours and _name(job) in names]
    stack.stop(*(job["id"] for job in shown))
    known = {job["id"] for job in books.jobs_of_user(stack)}
    given_up = [job for job in _at_provider(workload) if job.job_id not in known]
    if items := [{"id": job.job_id, "createdAt": job.created_at} for job in given_up if not job.final]:
        answer = stack.as_core.post("/jobs/terminate", json={"items": items})
        assert answer.status_code == 200, answer.text
    wait_until(lambda: all(job.final for job in _at_provider(workload)), "what UCloud gave up to be over", timeout=60.0)
    return Unanswered([job["id"] for job in shown], [job.job_id for job in given_up])


def check_unanswered(workload: Workload, unanswered: Unanswered, findings: Findings) -> None:
    """They have one end, too, and each program ran once at most in each life."""
    lives = dict.fromkeys(unanswered.given_up, 1)
    for job_id in unanswered.twins:
        shown = workload.stack.job(job_id)
        findings.check(shown["status"]["state"] in FINAL, f"job {job_id}, not answered: {story(shown)}")
        lives[job_id] = max(1, states(shown).count("RUNNING"))
    for job_id, most in lives.items():
        for file in (workload.stack.data / "drives").rglob(f"{job_id}/starts-*.txt"):
            starts = len(file.read_text().splitlines())
            findings.check(starts <= most, f"job {job_id}, not answered, was started {starts} times: {file}")
    findings.counts["unanswered"] = len(lives)
    findings.counts["given up"] = len(unanswered.given_up)


class _Job(NamedTuple):
    job_id: str
    created_at: int
    final: bool


def _at_provider(workload: Workload) -> list[_Job]:
    with books.provider_database(workload.stack) as connection:
        rows = connection.execute(sqlalchemy.text("SELECT job_id, created_at, final FROM jobs"))
        return [_Job(str(job_id), int(created_at), bool(final)) for job_id, created_at, final in rows]


def _name(job: dict[str, Any]) -> str | None:
    name: str | None = job["specification"].get("name")
    return name
