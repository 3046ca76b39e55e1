"""What the jobs of a workload were charged for, in the orchestrator's books, beside the time that they ran.

Only for style `documented` and jobs whose lives are shorter than a minute: a begun minute of each life is charged as a
whole one (ACC-6), so that a charge that is lost, doubled, or for another job shows.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing

import sqlalchemy

from tests.faults import books
from tests.faults.findings import Findings
from tests.faults.workload import Workload
from tests.support.stack import Stack, states
from ucloud_ray.domain.job import Job
from ucloud_ray.store.rows import job_of

UNIT = 60_000
"""Milliseconds in what a price is for."""

Charged = tuple[str, int, int]
"""Name, units and periods."""


def check_charges(workload: Workload, findings: Findings) -> None:
    """Charges equal running time, each name is there once, and no other job was charged for (ACC-1 to ACC-8)."""
    charged, jobs = charges(workload.stack), provider_jobs(workload.stack)
    for job in workload.jobs.values():
        told = charged.get(job.id, [])
        findings.counts["charges"] += len(told)
        lives = states(job.shown()).count("RUNNING")
        ran = jobs[job.id].times.ran_before + jobs[job.id].times.ran
        where = f"{job.plan.name} (job {job.id}), {lives} lives, ran {ran} ms, charged {told}"
        findings.check(len({name for name, _, _ in told}) == len(told), f"a name is charged twice: {where}")
        findings.check(all(periods == job.plan.replicas for *_, periods in told), f"not its replicas: {where}")
        units = sum(units for _, units, _ in told)
        findings.check(_fair(units, ran, lives), f"charges are not its running time: {where}")


def _fair(units: int, ran: int, lives: int) -> bool:
    """Rounded up once for each life."""
    return (units == 0) == (lives == 0) and ran <= units * UNIT < ran + max(1, lives) * UNIT + (ran == 0)


def charges(stack: Stack) -> dict[str, list[Charged]]:
    """By job."""
    found = defaultdict(list)
    with closing(sqlite3.connect(stack.data / "orchestrator.db")) as file:
        for job_id, *charge in file.execute("SELECT job_id, charge_id, units, periods FROM orchestrator_charges"):
            found[str(job_id)].append((charge[0], charge[1], charge[2]))
    return found


def provider_jobs(stack: Stack) -> dict[str, Job]:
    """Its newest record of each job."""
    with books.provider_database(stack) as connection:
        rows = connection.execute(sqlalchemy.text("SELECT job_id, record FROM jobs ORDER BY created_at"))
        return {str(job_id): job_of(record) for job_id, record in rows}
