"""Two of three hosts are cut off at once: one for 30 s, which is within the grace, one for longer (D4, SCH-16)."""

from __future__ import annotations

import time
from threading import Event

import pytest

from tests.faults.cluster import machines
from tests.faults.cluster.jobs import KINDS, NEAR, ON, WIDE, gated, lost, short
from tests.faults.cluster.steady import Steady, all_is_well
from tests.faults.conftest import Seen
from tests.faults.planned import Planned
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.stack import states
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.docker, pytest.mark.ray]

SHORT_SECONDS = 30.0
PATIENCE_SECONDS = 120.0
RUNNING = ["IN_QUEUE", "RUNNING"]


@fault(
    "one of three hosts cut off for 30 s, with a grace of 40 s",
    "nothing ends, everything there goes on, logs are whole (D4, SCH-16)",
)
@fault(
    "one of three hosts cut off for longer than the grace",
    "its jobs fail once, with the text of LC-12, their other ranks are stopped, other jobs are untouched; no rank is "
    "started a second time; what it still ran is taken away when it is back (D4, SCH-16, ENV-59)",
)
def test_a_host_that_is_back_in_time_loses_nothing_and_one_that_is_not_loses_its_jobs(
    cluster: RayHosts, seen: Seen, seed: int
) -> None:
    before = machines.snapshot(cluster)
    kept, given_up = Steady(cluster.stack, staying(), seed), Steady(cluster.stack, leaving(), seed)
    kept.start()
    given_up.start()
    cut = time.monotonic()
    for number in (1, 2):
        cluster.segment[number].cut()

    meanwhile = Workload(cluster.stack, coming(), seed)
    with meanwhile.running():
        rejoin_after(cluster, 1, cut + SHORT_SECONDS)
        wait_until(lambda: NAMES[1] in cluster.names(), "the first host to be back", PATIENCE_SECONDS)
        assert {name: states(job.shown()) for name, job in kept.jobs.items()} == dict.fromkeys(kept.jobs, RUNNING)
        on_both = kept.jobs["docker on both"].id
        wait_until(lambda: machines.connected(cluster, on_both, 2), "its ranks to be connected as before")
        wait_until(given_up.over, "what is on the other host to be given up", PATIENCE_SECONDS)
        assert given_up.tasks(cluster, 2), "what it ran goes on, where nobody can reach it"
        assert not [number for number in (0, 1) if given_up.tasks(cluster, number)]
        cluster.segment[2].rejoin()
    cluster.wait_for(*NAMES, timeout=PATIENCE_SECONDS)
    wait_until(lambda: not given_up.tasks(cluster, 2), "what was given up to be taken away", PATIENCE_SECONDS)
    for workload in (kept, meanwhile):
        workload.finish(PATIENCE_SECONDS)
    words = all_is_well(cluster, before, kept, meanwhile, given_up)
    seen("one of three hosts cut off for 30 s, with a grace of 40 s", "; meanwhile, here and there: ".join(words[:2]))
    seen("one of three hosts cut off for longer than the grace", words[2])


def staying() -> list[Planned]:
    return [
        plan
        for kind in KINDS
        for plan in (
            gated("on the host that is never cut off", kind, ON[0]),
            gated("on the host that comes back in time", kind, ON[1]),
            gated("on both", kind, NEAR[kind], replicas=2),
        )
    ]


def leaving() -> list[Planned]:
    return [
        plan
        for kind in KINDS
        for plan in (
            lost("on the host that stays away", kind, ON[2]),
            lost("with one of three ranks there", kind, WIDE[kind], replicas=3),
        )
    ]


def coming() -> list[Planned]:
    """Created while both are away: where there is a host they run at once, else they wait for theirs."""
    return [short(f"for {host}", kind, host) for kind in KINDS for host in ON]


def rejoin_after(cluster: RayHosts, number: int, moment: float) -> None:
    """The length of the cut is the fault itself: there is nothing to wait for but time."""
    Event().wait(max(0.0, moment - time.monotonic()))
    cluster.segment[number].rejoin()
