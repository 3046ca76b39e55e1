"""What was connected stays so while parts of the installation end, leave and come back (D1, D4, D7, D14)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.e2e.cluster.talk import SERVE, reached
from tests.support.ray_hosts import NAMES, WHOLE, RayHosts
from tests.support.stack import DOCKER_SHELL, states
from tests.support.wait import wait_until

Start = Callable[..., str]


def test_jobs_on_different_hosts_are_connected_while_both_run(cluster: RayHosts, start: Start) -> None:
    """ENV-47, ENV-48: by the name that was asked for, on every rank, and back."""
    server = start(DOCKER_SHELL, var=SERVE, replicas=2)
    cluster.stack.wait_state(server, "RUNNING")
    peer = {"type": "peer", "hostname": "Database", "jobId": server}
    guest = start(DOCKER_SHELL, var=SERVE, replicas=2, resources=[peer])
    cluster.stack.wait_state(guest, "RUNNING")
    assert set(cluster.containers(server).values()) != set(cluster.containers(guest).values())
    theirs = [f"j-{server}-job-0", f"j-{server}-job-1"]
    for rank in range(2):
        assert reached(cluster, guest, rank, "database") == theirs[:1]
        assert reached(cluster, guest, rank, *theirs) == theirs
        assert reached(cluster, server, rank, f"j-{guest}-job-1") == [f"j-{guest}-job-1"]
    address = cluster.inside(server, 0, "hostname -i").split()[-1]
    cluster.stack.stop(server)
    known = [line for line in cluster.inside(guest, 0, "cat /etc/hosts").splitlines() if not line.startswith("#")]
    assert not [line for line in known if "database" in line or f"j-{server}-job" in line]
    new = start(DOCKER_SHELL, var=SERVE, replicas=4)
    cluster.stack.wait_state(new, "RUNNING")
    assert reached(cluster, guest, 0, "database", address, f"j-{new}-job-0") == []


def test_ranks_stay_connected_while_supervisor_and_daemons_are_killed(cluster: RayHosts, start: Start) -> None:
    """D1: and what is started afterwards still is nobody else's."""
    job_id = start(DOCKER_SHELL, var=SERVE, replicas=3, **WHOLE)
    cluster.stack.wait_state(job_id, "RUNNING")
    everybody = [f"j-{job_id}-job-{rank}" for rank in range(3)]
    (supervisor,) = cluster.pids(0, "ray::JobSupervisor")
    os.kill(supervisor, signal.SIGKILL)
    for host in cluster.segment.hosts:
        assert host.daemon is not None
        host.daemon.kill()
    wait_until(lambda: cluster.pids(0, "ray::JobSupervisor") not in ([], [supervisor]), "another supervisor")
    for host in cluster.segment.hosts:
        assert host.daemon is not None
        host.daemon.start()
    cluster.wait_for(*NAMES)
    assert [reached(cluster, job_id, rank, *everybody) for rank in range(3)] == [everybody] * 3
    cluster.stack.stop(job_id)
    assert states(cluster.stack.job(job_id)) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
