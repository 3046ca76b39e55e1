"""The head is stopped and started again with another configuration while a job runs on all hosts (D1, D2).

The last file of this folder: the changed policy stays in force.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.cluster.talk import SERVE, reached
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.stack import DOCKER_SHELL, states
from tests.support.wait import wait_until


def test_jobs_outlive_the_whole_cluster_and_new_ones_follow_the_new_policy(
    cluster: RayHosts, start: Callable[..., str]
) -> None:
    """LC-7 with `replicaEndPolicy: all`. Hosts join the new head well before the grace for lost ones is over."""
    old = start(DOCKER_SHELL, var=SERVE, replicas=3)
    cluster.stack.wait_state(old, "RUNNING")
    cluster.stack.down()
    cluster.stack.environment["UCLOUD_RAY__POLICY__REPLICA_END_POLICY"] = "all"
    cluster.stack.up()
    cluster.wait_for(*NAMES)
    everybody = [f"j-{old}-job-{rank}" for rank in range(3)]
    assert [reached(cluster, old, rank, *everybody) for rank in range(3)] == [everybody] * 3
    assert states(cluster.stack.job(old)) == ["IN_QUEUE", "RUNNING"]

    script = '[ "$UCLOUD_RANK" = 0 ] && exit 0; until [ -e /work/go ]; do sleep 0.1; done; echo "went on"'
    new = start(DOCKER_SHELL, var=script, replicas=3)
    cluster.stack.wait_state(new, "RUNNING")
    wait_until(lambda: sorted(cluster.containers(new)) == [1, 2], "the first rank to end")
    cluster.inside(new, 1, "touch /work/go")
    cluster.stack.wait_state(new, "SUCCESS")
    assert cluster.stack.output(new).count("went on") == 2
