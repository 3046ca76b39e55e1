"""Two of three hosts are cut off at once: one for 30 s, which is within the grace, one for longer (D4, SCH-16)."""

from __future__ import annotations

import time
from threading import Event

import pytest

from tests.faults.cluster import machines
from tests.faults.cluster.jobs import KINDS, NEAR, ON, WIDE, gated, lost, short
from tests.faults.conftest import Seen
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.planned import Planned
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.stack import FINAL, states
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
    kept, given_up = Workload(cluster.stack, staying(), seed), Workload(cluster.stack, leaving(), seed)
    for workload in (kept, given_up):
        start(cluster, workload)
    cut = time.monotonic()
    for number in (1, 2):
        cluster.segment[number].cut()

    meanwhile = Workload(cluster.stack, coming(), seed)
    with meanwhile.running():
        rejoin_after(cluster, 1, cut + SHORT_SECONDS)
        wait_until(lambda: NAMES[1] in cluster.names(), "the first host to be back", PATIENCE_SECONDS)
        assert {name: states(job.shown()) for name, job in kept.jobs.items()} == dict.fromkeys(kept.jobs, RUNNING)
        wait_until(lambda: all_final(given_up), "what is on the other host to be given up", PATIENCE_SECONDS)
        assert on_host(cluster, 2, given_up), "what it ran goes on, where nobody can reach it"
        assert not [number for number in (0, 1) if on_host(cluster, number, given_up)]
        cluster.segment[2].rejoin()
    cluster.wait_for(*NAMES, timeout=PATIENCE_SECONDS)
    wait_until(lambda: not on_host(cluster, 2, given_up), "what was given up to be taken away", PATIENCE_SECONDS)
    for workload in (kept, meanwhile):
        workload.finish(PATIENCE_SECONDS)
    words = [everything_is_well(cluster, workload, before) for workload in (kept, meanwhile, given_up)]
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


def start(cluster: RayHosts, workload: Workload) -> None:
    with workload.running():
        pass
    for job in workload.jobs.values():
        cluster.stack.wait_state(job.id, "RUNNING", timeout=PATIENCE_SECONDS)


def rejoin_after(cluster: RayHosts, number: int, moment: float) -> None:
    """The length of the cut is the fault itself: there is nothing to wait for but time."""
    Event().wait(max(0.0, moment - time.monotonic()))
    cluster.segment[number].rejoin()


def all_final(workload: Workload) -> bool:
    """Nobody lets them end: their gates stay shut."""
    return all(job.shown()["status"]["state"] in FINAL for job in workload.jobs.values())


def on_host(cluster: RayHosts, number: int, workload: Workload) -> list[str]:
    """Tasks of these jobs that exist there."""
    ids = {f"j-{job.id}-job-{rank}" for job in workload.jobs.values() for rank in range(job.plan.replicas)}
    return [path.name for path in (cluster.state_of(number) / "tasks").glob("*/*") if path.name in ids]


def everything_is_well(cluster: RayHosts, workload: Workload, before: dict[str, set[str]]) -> str:
    findings = inspect(workload, before, lambda: machines.snapshot(cluster))
    require_nothing_wrong(workload, findings)
    return findings.words()
