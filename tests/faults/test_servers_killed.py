"""Front end, orchestrator, replica actors and node agent, each killed ten times while about twenty jobs run."""

from __future__ import annotations

import pytest

from tests.faults import parts
from tests.faults.broken import break_and_inspect
from tests.faults.conftest import Seen
from tests.faults.report import fault
from tests.support.stack import Stack

pytestmark = [pytest.mark.timeout(400), pytest.mark.docker]


@fault(
    "front end killed ten times",
    "no job notices; what was answered is done, what was not is done or not, once (D1, REC-2, REC-17, REC-18)",
)
@fault(
    "orchestrator killed ten times, meanwhile",
    "no update is lost or comes twice, none out of order (D10, LC-20, LC-21, REC-7, REC-8)",
)
@fault("any replica actor killed ten times, meanwhile", "no rank notices, none is started again (D1, REC-2, REC-3)")
@fault("node agent killed ten times, meanwhile", "starts are late at most; output is whole (D1, D9, D14)")
def test_killing_the_servers_again_and_again_leaves_every_job_as_planned(
    installed: Stack, seed: int, seen: Seen
) -> None:
    victims = [
        parts.front_end(installed),
        parts.orchestrator(installed),
        parts.replica_actor(installed, seed),
        parts.node_agent(installed),
    ]
    found = break_and_inspect(installed, victims, seed)
    seen("front end killed ten times", found.words())
    seen("orchestrator killed ten times, meanwhile", f"{found.counts['updates']} updates in order; else the same")
    seen("any replica actor killed ten times, meanwhile", f"{found.counts['starts']} starts of ranks; else the same")
    seen("node agent killed ten times, meanwhile", f"{found.counts['lines']:,} lines of output; else the same")
