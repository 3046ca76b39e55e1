"""The machine of the head is lost for good: the last file of this folder, which leaves the head elsewhere."""

from __future__ import annotations

import pytest

from tests.faults.cluster import machines
from tests.faults.cluster.jobs import KINDS, NEAR, ON, gated, lost, short
from tests.faults.cluster.steady import Steady, all_is_well
from tests.faults.conftest import Seen
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.docker, pytest.mark.ray]

PATIENCE_SECONDS = 120.0
GRACE = {"UCLOUD_RAY__POLICY__NODE_LOSS_GRACE_SECONDS": "10"}
"""The test need not wait for longer; the hosts that live join within."""


@fault(
    "the head's machine lost for good; another one of the cluster becomes the head, on the same PostgreSQL",
    "jobs on the other machines go on, those of the lost one fail as its machine is gone; no job is started twice, and "
    "the old supervisor writes no more (docs/cluster.md, D2, D4, SCH-16)",
)
def test_another_machine_takes_over_from_a_head_that_is_lost(cluster: RayHosts, seen: Seen, seed: int) -> None:
    before = machines.snapshot(cluster)
    staying = [gated(f"taken over on {host}", kind, host) for kind in KINDS for host in ON[1:]]
    leaving = [lost("on the lost head", kind, ON[0]) for kind in KINDS]
    leaving += [lost("with a rank there", kind, NEAR[kind], replicas=2) for kind in KINDS]
    coming = [short(f"after it on {host}", kind, host) for kind in KINDS for host in ON[1:]]
    kept, given_up = Steady(cluster.stack, staying, seed), Steady(cluster.stack, leaving, seed)
    later = Workload(cluster.stack, coming, seed)
    kept.start()
    given_up.start()
    cluster.lose_head()
    assert machines.has_writer(cluster), "nobody told PostgreSQL"
    wait_until(lambda: not machines.has_writer(cluster), "PostgreSQL to give up the writer that is gone", 60.0)

    cluster.move_head(1, **GRACE)
    cluster.stop_node(2)
    cluster.start_node(2)
    cluster.wait_for(*NAMES[1:], timeout=PATIENCE_SECONDS)
    wait_until(given_up.over, "what ran on the lost machine to be given up", PATIENCE_SECONDS)
    wait_until(lambda: machines.sold(cluster, *ON[1:]), "the new head's products to be known", PATIENCE_SECONDS)
    with later.running():
        cluster.segment[0].rejoin()
        cluster.start_node(0)  # its machine was repaired
        cluster.wait_for(*NAMES, timeout=PATIENCE_SECONDS)
    wait_until(lambda: not given_up.tasks(cluster, 0), "what it still ran to be taken away", PATIENCE_SECONDS)
    for workload in (kept, later):
        workload.finish(PATIENCE_SECONDS)
    words = all_is_well(cluster, before, kept, given_up, later)
    seen(
        "the head's machine lost for good; another one of the cluster becomes the head, on the same PostgreSQL",
        "; lost: ".join(words[:2]),
    )
