"""A workload during which parts are killed again and again, and the inspection afterwards: what most fault tests do."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults import kills, machine
from tests.faults.charges import check_charges
from tests.faults.findings import Findings
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.installation import kinds_of
from tests.faults.planned import everything
from tests.faults.workload import Workload
from tests.support.stack import Stack

EXPIRES_SECONDS = 8


def break_and_inspect(stack: Stack, victims: Sequence[kills.Victim], seed: int, losses: Sequence[str] = ()) -> Findings:
    """Every one of them is killed ten times. `losses`: see `inspect`. Fails with all that was wrong afterwards."""
    before = machine.snapshot(stack)
    workload = Workload(stack, everything(kinds_of(stack), EXPIRES_SECONDS), seed)
    with workload.running():
        kills.kill_all(victims, seed)
    workload.finish()
    findings = inspect(workload, before, losses=losses)
    check_charges(workload, findings)
    require_nothing_wrong(workload, findings)
    return findings
