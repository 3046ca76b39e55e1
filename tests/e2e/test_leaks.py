"""What jobs leave behind when they are over: nothing but their output.

The stack itself is checked when it is stopped (`tests/support/leftovers.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.support import dockerd, leftovers
from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, Stack, specification
from tests.support.wait import wait_until
from ucloud_ray.cluster.local import ray_environment

LIST_GROUPS = """
import json, sys
import ray
from ray.util import placement_group_table
ray.init(address=sys.argv[1], namespace="ucloud-ray", log_to_driver=False)
print(json.dumps([group["state"] for group in placement_group_table().values()]))
"""


def held_groups(stack: Stack) -> list[str]:
    """States of the groups that still hold something, as Ray itself tells."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_GROUPS, stack.state.ray_address],
        env=os.environ | ray_environment(stack.data),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return [state for state in found if state != "REMOVED"] or ["none"]


def test_jobs_that_are_over_leave_nothing_but_their_output(shells: Stack) -> None:
    """Every way in which a job can end, as a process and as a container."""
    kinds = [NATIVE_SHELL] if dockerd.missing() else [NATIVE_SHELL, DOCKER_SHELL]
    second = {"hours": 0, "minutes": 0, "seconds": 1}
    items = []
    for kind in kinds:
        items += [specification(kind, var=script) for script in ("true", "exit 3", "kill -9 $$", "sleep 600 & true")]
        items += [specification(kind, var="sleep 600", timeAllocation=second)]
        items += [specification(kind, var="sleep 600", replicas=2), specification(kind, var="trap '' TERM; sleep 0.1")]
    ids = [response["id"] for response in shells.post("/api/jobs", *items)["responses"]]
    stopped = [job_id for job_id, item in zip(ids, items, strict=True) if item["replicas"] == 2]
    for job_id in stopped:
        shells.wait_state(job_id, "RUNNING")
    shells.stop(*stopped)
    for job_id in ids:
        shells.wait_state(job_id)
    wait_until(lambda: not leftovers.of_ended_jobs(shells.data, shells.docker_url), "all tasks to be cleared up")
    status = json.loads(shells.cli("status", "--json").stdout)["provider"]
    assert status["activeJobs"] == 0
    assert status["outbox"]["waiting"] == 0
    wait_until(lambda: held_groups(shells) == ["none"], "all placement groups to be removed", timeout=15)
    for job_id in ids:
        (folder,) = (shells.data / "drives").glob(f"*/*/Jobs/*/{job_id}")
        assert {path.name for path in folder.iterdir()} >= {"stdout-0.log", "stderr-0.log"}
