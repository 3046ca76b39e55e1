"""How long the first page of a user's jobs takes, for a user with 10,000 jobs against one with 100, on one server."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.measure import interleave, percentile
from benchmarks.options import Options, say
from benchmarks.results import Pairing, ScenarioResult, Setup, Target
from benchmarks.stack import DEFAULT, Program, Stack, running
from benchmarks.user import User

FEW, MANY = 100, 10_000
SUMMARY = f"first page of the jobs of a user with {MANY:,} jobs, against a user with {FEW}"
PROGRAM = Program("quick", "NATIVE", ("/bin/true",))
TARGET = Target(1.5, "lower", "issue 6: ≤ 1.5 ×")
REQUESTS = 20
"""A round's figure is their median."""
PAGES: Mapping[str, tuple[Mapping[str, str], Target | None]] = {
    "newest first": ({}, TARGET),
    "newest first, with updates and application": ({"includeUpdates": "true", "includeApplication": "true"}, TARGET),
    "by time left": ({"sortBy": "timeLeft"}, None),
    "one label, which none has": ({"filterLabels.none": "none"}, None),
}


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    with running(DEFAULT, [PROGRAM]) as stack:
        users = {count: _with_jobs(stack, f"user-with-{count}", count) for count in (FEW, MANY)}
        for name, (query, target) in PAGES.items():
            measures = {str(count): partial(_page, user, query) for count, user in users.items()}
            setup.pairings.append(_compared(name, measures, options.rounds, target))


def _compared(name: str, measures: Mapping[str, Callable[[], float]], rounds: int, target: Target | None) -> Pairing:
    for measure in measures.values():
        measure()
    samples = interleave(measures, rounds)
    pairing = Pairing(f"{FEW} jobs: {name}", "ms", samples[str(MANY)], samples[str(FEW)], target)
    say(f"    {name}: {pairing.ratio.median:.2f} × (many {samples[str(MANY)]}, few {samples[str(FEW)]} ms)")
    return pairing


def _page(user: User, query: Mapping[str, str]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        user.browse({"itemsPerPage": "50", **query})
        times.append(1000 * (time.perf_counter() - began))
    return round(percentile(times, 50), 3)


def _with_jobs(stack: Stack, name: str, count: int) -> User:
    """One of them has run; the others are copies of it in the database of the orchestrator."""
    user = User(stack.user.url, _token(stack, name))
    [job] = user.create([PROGRAM.job()])
    user.wait_until_over([job])
    with closing(sqlite3.connect(stack.folder / "data/orchestrator.db", timeout=60)) as database, database:
        _copy(database, int(job), count - 1)
    if (found := _count(user)) != count:
        raise BenchmarkError(f"{name} has {found} jobs instead of {count}")
    return user


def _copy(database: sqlite3.Connection, job: int, copies: int) -> None:
    table = database.execute("PRAGMA table_info(orchestrator_jobs)").fetchall()
    columns = ", ".join(f'"{row[1]}"' for row in table if row[1] != "id")
    for _ in range(copies):
        made = database.execute(
            f"INSERT INTO orchestrator_jobs ({columns}) SELECT {columns} FROM orchestrator_jobs WHERE id = ?", (job,)
        )
        database.execute(
            "INSERT INTO orchestrator_job_updates (job_id, seq, document) "
            "SELECT ?, seq, document FROM orchestrator_job_updates WHERE job_id = ?",
            (made.lastrowid, job),
        )


def _count(user: User) -> int:
    found, query = 0, {"itemsPerPage": "1000"}
    while True:
        page: Any = user.browse(query)
        found += len(page["items"])
        if page["next"] is None:
            return found
        query = {**query, "next": page["next"]}


def _token(stack: Stack, name: str) -> str:
    words = [sys.executable, "-P", "-m", "ucloud_ray", "token", "--user", name, f"--data={stack.folder / 'data'}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
