"""The supervisor, its database and the Docker daemon, each killed ten times while about twenty jobs run."""

from __future__ import annotations

import pytest

from tests.faults import parts
from tests.faults.broken import break_and_inspect
from tests.faults.conftest import Seen
from tests.faults.report import fault
from tests.support.dockerd import PrivateDaemon
from tests.support.stack import Stack

LOST = "Your job could not be started: Docker was killed while it started the container, and lost it."
pytestmark = [pytest.mark.timeout(400), pytest.mark.docker, pytest.mark.postgres]


@fault(
    "supervisor killed ten times",
    "accepted jobs go on, are found again, end with their own exit status, told once (D1, D2, REC-1 to REC-5, REC-19)",
)
@fault(
    "PostgreSQL under the store killed ten times, meanwhile", "what was accepted is on disk; jobs go on (D2, REC-17)"
)
@fault(
    "dockerd killed ten times, meanwhile",
    "containers and their output go on (live-restore; D1, D4, D9, REC-4); one that it was just starting fails at most",
)
@fault(
    "the waiter of any process killed ten times, meanwhile",
    "its program runs once, its output is whole, its exit status is known (D1, D9, REC-2)",
)
@fault("the pump of any container killed ten times, meanwhile", "its output is whole (D9, LOG-5)")
def test_killing_the_supervisor_and_what_it_stands_on_leaves_every_job_as_planned(
    installed: Stack, docker_daemon: PrivateDaemon, database: parts.Database, seed: int, seen: Seen
) -> None:
    victims = [
        parts.supervisor(installed),
        parts.dockerd(docker_daemon),
        database.victim(),
        parts.native_waiter(installed, seed),
        parts.pump(installed, seed),
    ]
    found = break_and_inspect(installed, victims, seed, losses=[LOST])
    seen("supervisor killed ten times", found.words())
    seen("PostgreSQL under the store killed ten times, meanwhile", f"{found.counts['jobs']} jobs; else the same")
    seen(
        "dockerd killed ten times, meanwhile",
        f"{found.counts['lines']:,} lines of output; {found.counts['lost']} jobs lost; else the same",
    )
    carried = f"{found.counts['starts']} starts and {found.counts['lines']:,} lines; else the same"
    seen("the waiter of any process killed ten times, meanwhile", carried)
    seen("the pump of any container killed ten times, meanwhile", carried)
