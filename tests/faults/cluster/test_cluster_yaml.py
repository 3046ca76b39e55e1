"""The commands of `cluster.yaml`, run as they stand, keep what they start running.

Ray's launcher is not here: a shell runs the command lines, on two hosts without Docker, with `up` beside the head for
provider and orchestrator alone.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from tests.faults.conftest import Seen
from tests.faults.installation import product
from tests.faults.planned import ROOMY
from tests.faults.report import ROOT, fault
from tests.faults.victims import Victims
from tests.support import hosts
from tests.support.hosts import Host
from tests.support.ray_hosts import IMPATIENT
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, Stack, states
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.ray]

BACK_SECONDS = 120.0
WAIT = "echo start >> starts.txt; while [ ! -e gate ]; do sleep 0.2; done; exit 7"
HEAD, NODE = "localhost", socket.gethostname()
"""Names of the machines. Both are known here: Ray looks them up, and would wait for an answer."""
OF_RAY = str(Path(ray.__file__).parent / "core/src/ray")


@dataclass
class Launched:
    head: Host
    node: Host
    stack: Stack

    def raylets(self) -> list[int]:
        return self.head.pids(f"{OF_RAY}/raylet/raylet") + self.node.pids(f"{OF_RAY}/raylet/raylet")

    def machines(self) -> set[str]:
        """That the provider sees at work."""
        done = self.stack.cli("nodes", "--json")
        return {one["host"] for one in json.loads(done.stdout)} if done.returncode == 0 else set()


@fault(
    "all of Ray killed where the commands of `cluster.yaml` keep it running",
    "its loop and `ucloud-ray node` start it again, the front end leaves the cluster that is lost; a job lives on and "
    "is adopted (D1, D2)",
)
def test_the_commands_of_cluster_yaml_bring_everything_back(seen: Seen) -> None:
    if reason := hosts.missing():
        pytest.skip(reason)
    with launched() as made:
        stack = made.stack
        job_id = stack.create(NATIVE_SHELL, var=WAIT, product=product(ROOMY))
        stack.wait_state(job_id, "RUNNING", timeout=BACK_SECONDS)
        old, front_end = made.raylets(), stack.pid("provider")
        assert len(old) == 2
        assert what_doctor_says(stack, old) == [True, True]

        Victims(stack).kill(made.head.pids(OF_RAY) + made.node.pids(OF_RAY))
        wait_until(lambda: stack.pid("provider") != front_end, "the front end to leave its lost cluster", BACK_SECONDS)
        wait_until(lambda: made.machines() == {HEAD, NODE}, "both machines to be back", BACK_SECONDS)
        assert not set(old) & set(made.raylets())
        assert states(stack.job(job_id)) == ["IN_QUEUE", "RUNNING"]
        folder = next((stack.data / "drives").rglob(f"{job_id}/starts.txt")).parent
        (folder / "gate").touch()
        assert states(stack.wait_state(job_id, timeout=BACK_SECONDS)) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
        assert (folder / "starts.txt").read_text() == "start\n"
    seen(
        "all of Ray killed where the commands of `cluster.yaml` keep it running",
        "Ray was back on both machines; one job, started once, ended as its program did",
    )


def what_doctor_says(stack: Stack, raylets: list[int]) -> list[bool | None]:
    """Of these, one line each."""
    told = json.loads(stack.cli("doctor", "--json").stdout)["checks"]
    return [check["ok"] for pid in raylets for check in told if f"raylet {pid}" in check["detail"]]


@contextmanager
def launched() -> Iterator[Launched]:
    with hosts.hosts(2, daemons=False) as segment:
        head, node = segment.hosts
        segment.folder.chmod(0o711)  # the user that processes run as looks up its files below it
        folder = segment.folder / "stack"
        (folder / "data").mkdir(parents=True)
        (folder / "data/ray-token").write_text(secrets.token_hex(32))
        (folder / "data/ray-token").chmod(0o600)
        (folder / "ucloud-ray.yaml").write_text(yaml.safe_dump(config(head.address)))
        stack = Stack(folder / "data", NO_DOCKER, head.command(*named(HEAD)))
        stack.environment |= IMPATIENT | {
            "RAY_AUTH_TOKEN_PATH": str(stack.data / "ray-token"),
            "RAY_TMPDIR": str(segment.folder),
            "RAY_HEAD_IP": head.address,
        }
        try:
            launch(head, HEAD, stack, "head_start_ray_commands")
            launch(node, NODE, stack, "worker_start_ray_commands")
            wait_until(lambda: len(node.pids(f"{OF_RAY}/raylet/raylet")) == 1, "the cluster", BACK_SECONDS)
            file = str(folder / "ucloud-ray.yaml")
            stack.up("--ray-address", f"{head.address}:6379", "--config", file)
            stack.add_shells()
            made = Launched(head, node, stack)
            wait_until(lambda: made.machines() == {HEAD, NODE}, "both machines", BACK_SECONDS)
            wait_until(lambda: any(one["support"]["native"]["enabled"] for one in stack.support()), "a machine to sell")
            yield made
            stack.down("--stop-jobs")
        finally:
            for host in (node, head):
                end_everything(host)
            stack.close()


def config(address: str) -> dict[str, Any]:
    return {
        "products": [{"name": ROOMY, "category": ROOMY, "cpu": 1, "memoryInGigs": 1}],
        "nodes": [{"categories": [ROOMY], "capacity": {ROOMY: {"cpu": 4, "memoryInGigs": 4}}}],
        "network": {"mode": "none"},
        "provider": {"listen": f"{address}:8889", "publicUrl": f"http://{address}:8889"},
        "core": {"url": f"http://{address}:8080"},
    }


def named(host: str) -> tuple[str, ...]:
    """What runs a command line on a machine of that name."""
    return ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host)


def launch(host: Host, name: str, stack: Stack, key: str) -> None:
    """The commands as they stand, but for the places of things; without `ray stop`, which would end all Ray here."""
    *first, last = yaml.safe_load((ROOT / "cluster.yaml").read_text())[key]
    assert [words.split("/")[-1] for words in first] == ["ray stop"]
    folder = stack.data.parent
    for there, here in (
        ("/opt/ucloud-ray-venv/bin", str(Path(sys.executable).parent)),
        ("/opt/ucloud-ray", str(folder)),
        ("/var/lib/ucloud-ray", str(stack.data)),
        ("/tmp/ucloud-ray", str(folder / "launched")),
    ):
        last = last.replace(there, here)
    subprocess.run(host.command(*named(name), "sh", "-c", last), env=stack.environment, cwd=folder, check=True)


def end_everything(host: Host) -> None:
    """Loops start again what ends, until they are gone, too."""

    def gone() -> bool:
        for pid in host.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not host.pids()

    wait_until(gone, f"{host.name} to be empty")
