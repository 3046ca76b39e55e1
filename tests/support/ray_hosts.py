"""A whole installation on three hosts: Ray, provider and orchestrator on the first, `ucloud-ray node` on the others.

    test process ──HTTP──▶ host 0: `up`, Ray's head           each host: a network namespace, a dockerd,
                           host 1, host 2: `node`, a raylet   a folder of its own; `data` is shared

Nothing is faked: what crosses the hosts crosses their wires. Needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import yaml

from tests.support import dockerd, images, leftovers
from tests.support.hosts import Host, Segment, hosts
from tests.support.postgres import running_server
from tests.support.stack import COMMAND, Stack
from tests.support.wait import wait_until
from ucloud_ray.cli import parts

NAMES = (socket.gethostname(), "node-1", "node-2")
"""Ours of the machines (D7)."""

SLOTS = 2
"""Replicas of `example-small` that each host has room for."""

CATEGORY = "example-compute"

WHOLE = {"product": {"id": "example-whole", "category": "example-compute", "provider": "example"}}
"""A replica of this is alone on its host, so that three are on three."""


def _config(segment: Segment, folder: Path) -> dict[str, Any]:
    """`ucloud-ray.yaml` of all hosts. Names and addresses are those of the first one."""
    address, memory = segment[0].address, 2 * SLOTS
    sold = {"cpu": SLOTS, "memoryInGigs": memory, "gpu": 0}
    return {
        "products": [
            {"name": "example-small", "category": CATEGORY, "cpu": 1, "memoryInGigs": 2},
            {"name": "example-whole", "category": CATEGORY, "cpu": SLOTS, "memoryInGigs": memory},
        ],
        "provider": {"listen": f"{address}:8889", "publicUrl": f"http://{address}:8889"},
        "core": {"url": f"http://{address}:8080"},
        "ray": {"listen": f"{address}:6379"},
        "nodeDir": f"{folder}/hosts/{{host}}",
        "network": {"range": "10.83.0.0/20"},
        "nodes": [{"categories": [CATEGORY], "capacity": {CATEGORY: sold}}],
        "policy": {"warmReplicaActors": 1, "nodeLossGraceSeconds": 40, "replicaLingerSeconds": 1},
    }


IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""A host that is cut off is noticed after seconds rather than half a minute."""


@dataclass
class RayHosts:
    segment: Segment
    stack: Stack
    nodes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    head: int = 0

    def start_node(self, number: int) -> None:
        """Returns at once: see `wait_for`."""
        host = self.segment[number]
        arguments = ["node", "--address", f"{self.segment[self.head].address}:6379", "--host", NAMES[number]]
        environment = self.stack.environment | {"DOCKER_HOST": host.docker_url}
        with (host.folder / "node.log").open("ab") as log:
            self.nodes[number] = subprocess.Popen(
                host.command(*COMMAND, *arguments, "--data", self.stack.data),
                env=environment,
                cwd=self.stack.data.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop_node(self, number: int) -> int:
        """As a service manager does; its exit status."""
        self.nodes[number].send_signal(signal.SIGTERM)
        return self.nodes.pop(number).wait(timeout=40)

    def lose_head(self) -> None:
        """For good: nobody reaches its machine any more, and nothing that `up` started runs there. Workloads may.

        Its temporary files go with it; hosts share a file system here, and the next head would ask after this one.
        """
        self.segment[self.head].cut()
        state = self.stack.state
        sessions = [state.minder.pid, *(part.pid for part in state.parts.values())]
        for pid in [pid for session in sessions for pid in parts.session_members(session)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(leftovers.ray_folder(self.stack.data), ignore_errors=True)

    def move_head(self, number: int, **environment: str) -> None:
        """`up` on another host, whose `node` ends. Its name there is ours of the host."""
        self.stop_node(number)
        old, host = self.segment[self.head], self.segment[number]
        file = self.stack.data.parent / "ucloud-ray.yaml"
        file.write_text(file.read_text().replace(f"{old.address}:", f"{host.address}:"))
        self.stack.prefix, self.stack.docker_url, self.head = host.command(), host.docker_url, number
        self.stack.environment |= {"DOCKER_HOST": host.docker_url, **environment}
        self.stack.up("--host", NAMES[number])

    def wait_for(self, *names: str, timeout: float = 60.0) -> None:
        """Until these hosts run containers that have a network."""

        def ready() -> bool:
            good = [node for node in self.machines() if "DOCKER" in node["backends"] and not node["problems"]]
            return set(names) <= {node["host"] for node in good}

        wait_until(ready, f"{names} to be of use", timeout)

    def machines(self) -> list[dict[str, Any]]:
        """As the operator sees them; empty while nobody answers."""
        done = self.stack.cli("nodes", "--json")
        found: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else []
        return found

    def containers(self, job_id: str) -> dict[int, int]:
        """Rank to the number of the host where its container runs."""
        found = {}
        for number, host in enumerate(self.segment.hosts):
            with closing(dockerd.client(host.docker_url)) as api:
                for one in api.containers(filters={"label": f"ucloud-ray/job={job_id}"}):
                    found[int(one["Labels"]["ucloud-ray/rank"])] = number
        return found

    def inside(self, job_id: str, rank: int, script: str) -> str:
        """What a shell script prints inside the container of that rank."""
        host = self.segment[self.containers(job_id)[rank]]
        with closing(dockerd.client(host.docker_url)) as api:
            made = api.exec_create(f"j-{job_id}-job-{rank}", ["/bin/sh", "-c", script])
            return str(api.exec_start(made["Id"]).decode())

    def names(self) -> set[str]:
        """Hosts that are in the cluster, as far as the provider knows."""
        return {node["host"] for node in self.machines()}

    def raylets(self, number: int) -> list[int]:
        return self.pids(number, str(Path(ray.__file__).parent / "core/src/ray/raylet/raylet"))

    def pids(self, number: int, words: str) -> list[int]:
        """Processes on that host whose command line begins so."""
        return self.segment[number].pids(words)

    def state_of(self, number: int) -> Path:
        """The folder of that host alone."""
        return self.stack.data.parent / "hosts" / NAMES[number]

    def close(self) -> None:
        """Fails if anything is left on any host."""
        try:
            self.stack.down("--stop-jobs")
            for number in list(self.nodes):
                assert self.stop_node(number) == 0, f"node {number} did not end cleanly"
            for number, host in enumerate(self.segment.hosts):
                left = leftovers.containers(self.stack.data, host.docker_url)
                assert not left, f"left behind on host {number}: {[one['Names'] for one in left]}"
                tasks = [str(path) for path in (self.state_of(number) / "tasks").glob("*/*") if path.is_dir()]
                assert not tasks, f"left behind on host {number}: {tasks}"
        finally:
            for node in self.nodes.values():
                node.kill()
            self.stack.close()


@contextmanager
def ray_hosts(changes: Mapping[str, Any] | None = None, *, postgres: bool = False) -> Iterator[RayHosts]:
    """`changes` replace keys of the configuration. `postgres`: the provider's store, which all hosts reach."""
    with ExitStack() as cleanup:
        segment = cleanup.enter_context(hosts(3))
        more = dict(changes or {})
        if postgres:
            more["store"] = cleanup.enter_context(running_server(segment.outside)).new_database()
        made = RayHosts(segment, _stack(segment, more))
        cleanup.callback(made.close)
        with ThreadPoolExecutor(4) as threads:
            done = [threads.submit(images.batch_image, host.docker_url) for host in segment.hosts]
            made.stack.up()
            for number in (1, 2):
                made.start_node(number)
            for one in done:
                one.result()
        made.wait_for(*NAMES)
        yield made


def _stack(segment: Segment, changes: Mapping[str, Any]) -> Stack:
    first: Host = segment[0]
    folder = segment.folder / "stack"
    folder.mkdir()
    segment.folder.chmod(0o711)  # the user that processes run as looks up its files below it
    config = {**_config(segment, folder), **changes}
    (folder / "ucloud-ray.yaml").write_text(yaml.safe_dump(config))
    stack = Stack(folder / "data", first.docker_url, first.command())
    stack.environment |= IMPATIENT
    return stack
