"""What the fault tests need to know of several hosts: what is left on them, and Ray's processes there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ray
import sqlalchemy

from tests.faults.books import provider_database
from tests.faults.kills import Victim
from tests.faults.victims import Victims
from tests.support import leftovers
from tests.support.ray_hosts import NAMES, RayHosts
from tests.support.wait import wait_until
from ucloud_ray.bootstrap import network_name
from ucloud_ray.cli.parts import session_members
from ucloud_ray.cluster import names
from ucloud_ray.settings import Settings
from ucloud_ray.store.rows import job_of

BACK_SECONDS = 120.0
GCS = str(Path(ray.__file__).parent / "core/src/ray/gcs/gcs_server")


def snapshot(cluster: RayHosts) -> dict[str, set[str]]:
    """As `leftovers.snapshot`, of all hosts together."""
    found = leftovers.snapshot(cluster.stack.data, cluster.stack.docker_url)
    found["control groups"] = _control_groups(cluster)
    name = network_name(Settings(data_dir=cluster.stack.data))
    for number, host in enumerate(cluster.segment.hosts):
        there = leftovers.containers(cluster.stack.data, host.docker_url)
        rules = host.run("nft", "list", "table", "inet", name, check=False).stdout
        tasks = cluster.state_of(number) / "tasks"
        found["containers"] |= {f"{NAMES[number]}: {one['Names'][0]}" for one in there}
        lines = [line.strip() for line in rules.splitlines() if "10.83." in line]
        found["firewall rules"] |= {f"{NAMES[number]}: {line}" for line in lines}
        found["task folders and files"] |= {str(path) for path in tasks.rglob("*") if path.suffix != ".log"}
    return found


def _control_groups(cluster: RayHosts) -> set[str]:
    """Of native tasks, named by the attempt at the job."""
    with provider_database(cluster.stack) as connection:
        uids = [row[0] for row in connection.execute(sqlalchemy.text("SELECT uid FROM jobs"))]
    attempts = (f"{uid}.{number}" for uid in uids for number in range(leftovers.INCARNATIONS))
    marks = {hashlib.sha256(attempt.encode()).hexdigest()[:12] for attempt in attempts}
    groups = [*Path("/sys/fs/cgroup").glob("*/ucloud-ray/*"), *Path("/sys/fs/cgroup").glob("ucloud-ray/*")]
    return {str(group) for group in groups if group.suffix.removeprefix(".") in marks}


def connected(cluster: RayHosts, job_id: str, ranks: int) -> bool:
    """Whether each container of the job reaches the next one by its name (D14)."""
    return all(_reaches(cluster, job_id, rank, (rank + 1) % ranks) for rank in range(ranks))


def _reaches(cluster: RayHosts, job_id: str, rank: int, other: int) -> bool:
    cluster.inside(job_id, other, "(echo here | nc -l -p 7000 >/dev/null 2>&1 &)")
    ask = f"for pause in 0 0.1 0.3 1; do sleep $pause; nc -w 1 j-{job_id}-job-{other} 7000 </dev/null && break; done"
    return "here" in cluster.inside(job_id, rank, ask)


# --------------------------------------------------------------------------------------------------- Ray's processes


def node_ids(cluster: RayHosts, number: int) -> set[str]:
    """Under which Ray knows that host at the moment."""
    found = set()
    for pid in cluster.raylets(number):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            found |= {word for word in words if word.startswith("--node_id=")}
    return found


def replica_actors(cluster: RayHosts, number: int) -> list[int]:
    return cluster.pids(number, "ray::ReplicaActor") + cluster.pids(number, "ray::replica-")


def all_of_ray(cluster: RayHosts) -> list[int]:
    """Everything of Ray on all hosts; not what starts it."""
    sessions = {os.getsid(pid) for number in range(len(NAMES)) for pid in cluster.raylets(number)}
    return [pid for session in sessions for pid in session_members(session)]


def sold(cluster: RayHosts, *categories: str) -> bool:
    """Whether users can have both kinds of jobs in all of them, as far as the orchestrator has heard."""
    offered = {
        entry["support"]["product"]["category"]
        for entry in cluster.stack.support()
        if entry["support"]["docker"]["enabled"] and entry["support"]["native"]["enabled"]
    }
    return set(categories) <= offered


def reserved(cluster: RayHosts) -> set[str]:
    """Names of the placement groups that Ray holds, asked from beside the head."""
    script = (
        "import json, sys, ray; from ray.util import placement_group_table;"
        "ray.init(address=sys.argv[1], namespace='ucloud-ray', log_to_driver=False, configure_logging=False);"
        "groups = placement_group_table().values();"
        "print(json.dumps([group['name'] for group in groups if group['state'] == 'CREATED']))"
    )
    head = cluster.segment[0]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(cluster.stack.data / "ray-token")}
    done = subprocess.run(
        head.command(sys.executable, "-c", script, f"{head.address}:6379"),
        env=os.environ | token,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def has_writer(cluster: RayHosts) -> bool:
    """Whether PostgreSQL takes somebody for the writer of the store."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with provider_database(cluster.stack) as connection:
        return bool(connection.execute(sqlalchemy.text(query)).scalar())


def held(cluster: RayHosts) -> set[str]:
    """Names of the placement groups that jobs hold by the store."""
    query = "SELECT uid, record FROM jobs WHERE phase IN ('starting', 'running', 'lingering')"
    with provider_database(cluster.stack) as connection:
        rows = connection.execute(sqlalchemy.text(query))
        return {names.group(uid, job_of(record).incarnation) for uid, record in rows}


# ----------------------------------------------------------------------------------------------------------- victims


def raylet(cluster: RayHosts, number: int) -> Victim:
    """One that runs replicas; it is back when it runs some again, under another name in Ray (D7)."""

    def kill() -> Callable[[], None]:
        wait_until(lambda: replica_actors(cluster, number), f"replica actors on {NAMES[number]}", BACK_SECONDS)
        before = node_ids(cluster, number)
        Victims(cluster.stack).kill(cluster.raylets(number))

        def back() -> None:
            wait_until(lambda: node_ids(cluster, number) - before, f"a raylet on {NAMES[number]}", BACK_SECONDS)
            wait_until(lambda: replica_actors(cluster, number), f"its replica actors on {NAMES[number]}", BACK_SECONDS)

        return back

    return Victim(f"raylet of {NAMES[number]}", kill)


def everything_of_ray(cluster: RayHosts) -> Victim:
    return _head(cluster, "all of Ray", lambda: all_of_ray(cluster))


def gcs(cluster: RayHosts) -> Victim:
    """Alone: everything else has to notice by itself."""
    return _head(cluster, "GCS", lambda: cluster.pids(0, GCS))


def _head(cluster: RayHosts, name: str, pids: Callable[[], list[int]]) -> Victim:
    victims = Victims(cluster.stack)

    def kill() -> Callable[[], None]:
        before = [pid for number in range(len(NAMES)) for pid in cluster.raylets(number)]
        supervisor = victims.supervisor()
        victims.kill(pids())

        def back() -> None:
            wait_until(
                lambda: not set(supervisor) & set(cluster.pids(0, "ray::")),
                "the old supervisor to be gone",
                BACK_SECONDS,
            )
            cluster.wait_for(*NAMES, timeout=BACK_SECONDS)
            assert not set(before) & {pid for number in range(len(NAMES)) for pid in cluster.raylets(number)}

        return back

    return Victim(name, kill)
