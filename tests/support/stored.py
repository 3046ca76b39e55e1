"""Every row of a stack's databases, for tests that say that nothing was stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support import leftovers
from tests.support.stack import Stack


def nothing_under_way(stack: Stack) -> bool:
    stored = everything_stored(stack.data)
    waits = stored["jobs.db/outbox"] or stored["jobs.db/charges"]
    return not waits and not leftovers.of_ended_jobs(stack.data, stack.docker_url)


def everything_stored(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Table to rows. Counters of given ids do not count: a number may be used up by what was refused."""
    found = {}
    for file in ("jobs.db", "orchestrator.db"):
        with closing(sqlite3.connect(f"file:{data / file}?mode=ro", uri=True)) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                if name != "sqlite_sequence":
                    found[f"{file}/{name}"] = database.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall()
    return found
