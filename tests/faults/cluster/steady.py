"""A workload that runs before something breaks, and in which nothing ends until the test lets it."""

from __future__ import annotations

from tests.faults.cluster import machines
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.workload import Workload
from tests.support.ray_hosts import RayHosts
from tests.support.stack import FINAL

START_SECONDS = 120.0


class Steady(Workload):
    def start(self) -> None:
        """Returns when every job runs."""
        with self.running():
            pass
        for job in self.jobs.values():
            self.stack.wait_state(job.id, "RUNNING", timeout=START_SECONDS)

    def over(self) -> bool:
        """Whether every job has ended, without having been let."""
        return all(job.shown()["status"]["state"] in FINAL for job in self.jobs.values())

    def tasks(self, cluster: RayHosts, number: int) -> list[str]:
        """Those of its jobs that exist on that host."""
        ids = {f"j-{job.id}-job-{rank}" for job in self.jobs.values() for rank in range(job.plan.replicas)}
        return [path.name for path in (cluster.state_of(number) / "tasks").glob("*/*") if path.name in ids]


def all_is_well(cluster: RayHosts, before: dict[str, set[str]], *workloads: Workload) -> list[str]:
    """What was seen of each. Fails with everything that is wrong."""
    found = [inspect(workload, before, lambda: machines.snapshot(cluster)) for workload in workloads]
    for workload, findings in zip(workloads, found, strict=True):
        require_nothing_wrong(workload, findings)
    return [findings.words() for findings in found]
