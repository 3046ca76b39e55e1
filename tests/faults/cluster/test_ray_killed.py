"""Raylets, the GCS and the whole of Ray on three hosts, killed while jobs of all kinds run there (D1, D2, D7)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.faults.cluster import machines
from tests.faults.cluster.jobs import KINDS, NEAR, ON, WIDE, gated
from tests.faults.cluster.steady import all_is_well
from tests.faults.conftest import Seen
from tests.faults.kills import kill_in_turn, reprieve
from tests.faults.planned import Planned, everything
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.docker, pytest.mark.ray]

ROUNDS = 5


@fault(
    "raylets of two of three hosts, killed ten times in all, each while it runs replicas",
    "workloads live on; the host comes back under a new name in Ray and all on it is adopted (D1, D7, REC-2, REC-3)",
)
def test_raylets_that_are_killed_again_and_again_cost_nothing(cluster: RayHosts, seen: Seen, seed: int) -> None:
    chance = random.Random(seed)
    before = machines.snapshot(cluster)
    workload = Workload(cluster.stack, plans("raylet"), seed)
    with workload.running():
        for _ in range(ROUNDS):
            backs = []
            for number in (1, 2):
                reprieve(chance)
                backs.append(machines.raylet(cluster, number).kill())
            for back in backs:
                back()
    seen(
        "raylets of two of three hosts, killed ten times in all, each while it runs replicas",
        finished(cluster, workload, before),
    )


@fault(
    "all of Ray on three hosts killed, then its GCS alone",
    "workloads live on without any raylet or actor; a head that knows nothing gets supervisor, placement groups and "
    "actors anew from the store (D2, SCH-16)",
)
def test_a_head_that_forgot_everything_gets_it_back_while_the_jobs_run(
    cluster: RayHosts, seen: Seen, seed: int
) -> None:
    before = machines.snapshot(cluster)
    workload = Workload(cluster.stack, plans("Ray"), seed)
    with workload.running():
        for victim in (machines.everything_of_ray(cluster), machines.gcs(cluster)):
            kill_in_turn([victim], seed, times=1)
    patience = machines.BACK_SECONDS
    wait_until(lambda: machines.held(cluster) <= machines.reserved(cluster), "all to have their room again", patience)
    over_three = workload.jobs["Ray: docker over three hosts"].id
    wait_until(lambda: machines.connected(cluster, over_three, 3), "its ranks to be connected as before", patience)
    seen(
        "all of Ray on three hosts killed, then its GCS alone",
        finished(cluster, workload, before),
    )


def plans(prefix: str) -> list[Planned]:
    """The usual twenty, and some whose hosts are known."""
    more = [
        gated(f"over {name}", kind, category, replicas)
        for kind in KINDS
        for name, category, replicas in (
            ("three hosts", WIDE[kind], 3),
            ("two hosts", NEAR[kind], 2),
            ("one host", ON[1], 1),
        )
    ]
    return [replace(plan, name=f"{prefix}: {plan.name}") for plan in (*everything(KINDS, expires_after=8), *more)]


def finished(cluster: RayHosts, workload: Workload, before: dict[str, set[str]]) -> str:
    """Everything has ended and all is well; what was seen."""
    cluster.wait_for(*NAMES, timeout=machines.BACK_SECONDS)
    workload.finish(machines.BACK_SECONDS)
    [words] = all_is_well(cluster, before, workload)
    return words
