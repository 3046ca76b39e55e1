"""The machine's clock jumps by an hour, forward and back, while jobs run and everything is started again in between.

The clock of all of the installation's processes is moved for real (`tests/support/clock.py`). As processes only: what
measures a container's time is the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import kills, parts, programs
from tests.faults.charges import check_charges, provider_jobs
from tests.faults.conftest import Seen
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.installation import installation, product
from tests.faults.planned import FINISHED, ROOMY, Planned, everything
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support import clock, leftovers
from tests.support.clock import MovedClock
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, Stack, story

pytestmark = pytest.mark.timeout(400)

HOUR = 3600
EXPIRES_SECONDS = 20
HALF_AN_HOUR = Planned(
    "native half an hour",
    "native",
    programs.gated("exit 7"),
    f"{FINISHED} (exit code 7)",
    more={"timeAllocation": {"hours": 0, "minutes": 30, "seconds": 0}},
)
"""Would be over after a jump, if it were measured by the machine's clock."""


@pytest.fixture
def moved() -> Iterator[tuple[Stack, MovedClock]]:
    if reason := clock.missing():
        pytest.skip(reason)
    clocks = []

    def prepare(stack: Stack) -> None:
        clocks.append(MovedClock(stack.data.parent))
        stack.environment |= clocks[0].environment

    with installation(NO_DOCKER, prepare) as stack:
        yield stack, clocks[0]


def require_new_jobs(stack: Stack) -> None:
    """All tokens are good, everybody's for everybody."""
    shown = stack.run(NATIVE_SHELL, product=product(ROOMY), var="true")
    assert shown["status"]["state"] == "SUCCESS", story(shown)


@fault(
    "the machine's clock jumps by an hour",
    "forward and back, and everything is started again under the new time: no job ends early or late, charges equal "
    "running time, tokens go on working (TIME-11, TIME-13, ACC-6)",
)
def test_an_hour_more_or_less_is_nothing_to_jobs(moved: tuple[Stack, MovedClock], seen: Seen, seed: int) -> None:
    """Each time the clock is moved first and whoever reads it goes on for a while, then it is killed."""
    stack, its_clock = moved
    before = leftovers.snapshot(stack.data, stack.docker_url)
    workload = Workload(stack, [*everything(["native"], EXPIRES_SECONDS), HALF_AN_HOUR], seed)
    victims = [parts.supervisor(stack), parts.front_end(stack), parts.orchestrator(stack)]
    with workload.running():
        pass
    for jump in (HOUR, -HOUR):
        its_clock.move(jump)
        require_new_jobs(stack)
        kills.kill_in_turn(victims, seed, times=1)
        require_new_jobs(stack)
    workload.finish()
    findings = inspect(workload, before)
    check_charges(workload, findings)
    ran = provider_jobs(stack)[workload.jobs["native expiring"].id].times.ran
    findings.check(ran >= EXPIRES_SECONDS * 1000, f"a job of {EXPIRES_SECONDS} s expired after {ran} ms")
    require_nothing_wrong(workload, findings)
    seen("the machine's clock jumps by an hour", f"two jumps, six kills; {findings.words()}")
