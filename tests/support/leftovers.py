"""What a stack may leave on the machine after its end: processes, containers, mounts, control groups, task folders.

A thing belongs to a stack if it names its data folder. `require_none` is the leak check of every test that starts one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from runtimes.network.names import Names
from tests.support import dockerd
from tests.support.wait import wait_until
from ucloud_ray.bootstrap import network_name
from ucloud_ray.cluster.local import ray_environment, ray_head_command
from ucloud_ray.settings import Settings

LEAVING_SECONDS = 15.0
"""What was told to go may take a moment."""
INCARNATIONS = 5
"""More than any job of a test has."""


def require_none(data: Path, docker_url: str) -> None:
    """Fails with a list of what is left."""
    wait_until(lambda: not of_ended_jobs(data, docker_url), "the last task to be cleared up", LEAVING_SECONDS)
    try:
        wait_until(lambda: not processes(data), "all processes to leave", LEAVING_SECONDS)
    except AssertionError as still_there:
        raise AssertionError(f"left behind: {[_words(pid) for pid in processes(data)]}") from still_there
    assert not mounts(data), f"left behind: {mounts(data)}"
    assert not networks(data), f"left behind: {networks(data)}"


def snapshot(data: Path, docker_url: str) -> dict[str, set[str]]:
    """Everything on the machine that jobs of this stack may add to: kind to names. Between two jobs it is the same."""
    name = network_name(Settings(data_dir=data))
    return {
        **_in_docker(docker_url),
        "mounts": _mounts_naming(data),
        "firewall rules": _rules(name),
        "devices on the bridge": {path.name for path in Path("/sys/class/net").glob("*/lower_*") if name in str(path)},
        "processes": {_words(pid) for pid in workloads(data)},
        "control groups": {str(group) for group in control_groups(data)},
        "task folders and files": {str(path) for path in (data / "tasks").rglob("*") if not _is_log(path)},
    }


def _in_docker(url: str) -> dict[str, set[str]]:
    """Nothing where there is no daemon at all."""
    if not Path(url.removeprefix("unix://")).exists():
        return {}
    with closing(dockerd.client(url)) as api:
        return {
            "containers": {container["Id"] for container in api.containers(all=True)},
            "networks of Docker": {network["Name"] for network in api.networks()},
        }


def workloads(data: Path) -> list[int]:
    """Processes of jobs of this stack, and whoever waits for them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                of_a_job = b"UCLOUD_JOB_ID=" in (entry / "environ").read_bytes()
                waits = (entry / "comm").read_text().strip() == "ucloud-waiter"
                if (of_a_job or waits) and _alive(entry) and _uses(entry, data):
                    found.append(int(entry.name))
    return found


def _uses(entry: Path, data: Path) -> bool:
    """Works in the folder, sees something of it mounted, or holds a file of it. What is mounted below it itself, say a
    small disk, everybody sees."""
    held = [os.readlink(link) for link in (entry / "fd").iterdir()]
    mounted = [line.split()[3] for line in (entry / "mountinfo").read_text().splitlines()]
    return any(str(data) in place for place in (os.readlink(entry / "cwd"), *mounted, *held))


def _mounts_naming(data: Path) -> set[str]:
    """Also those whose source lies below it, wherever they are mounted."""
    return {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(data) in line}


def _rules(name: str) -> set[str]:
    """Lines of the tables of this network, without the counts of packets."""
    tables = [table.split()[1:] for table in _nft("list", "tables").splitlines() if name in table]
    lines = " ".join(_nft("list", "table", *table) for table in tables).replace(",", "\n").splitlines()
    return {re.sub(r"counter packets \d+ bytes \d+", "counter", line).strip() for line in lines}


def _nft(*words: str) -> str:
    return subprocess.run(["nft", *words], capture_output=True, text=True, check=False).stdout


def _is_log(path: Path) -> bool:
    return path.suffix == ".log"


def of_ended_jobs(data: Path, docker_url: str) -> dict[str, list[str]]:
    """Kind to names, of everything that must go with the job it belongs to. Empty when all is well."""
    found = {
        "containers": [container["Names"][0] for container in containers(data, docker_url)],
        "task folders": task_folders(data),
        "control groups": [str(group) for group in control_groups(data)],
    }
    return {kind: names for kind, names in found.items() if names}


def processes(data: Path) -> list[int]:
    """Those that have the data folder in their command line, environment or working directory."""
    marks = (os.fsencode(data), os.fsencode(ray_folder(data)))
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if _alive(entry) and any(mark in _everything_of(entry) for mark in marks):
                    found.append(int(entry.name))
    return found


def containers(data: Path, docker_url: str) -> list[dict[str, Any]]:
    """Running or not; none where no daemon answers."""
    with suppress(Exception), closing(dockerd.client(docker_url)) as api:
        listed = api.containers(all=True, filters={"label": "ucloud-ray/job"})
        return [one for one in listed if any(mount["Source"].startswith(str(data)) for mount in one["Mounts"])]
    return []


def mounts(data: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(data)]


def networks(data: Path) -> list[str]:
    """Devices and firewall tables of this machine that belong to the stack; none where there is no firewall."""
    names = Names(network_name(Settings(data_dir=data)))
    devices = [name for name in (names.bridge, names.tunnel) if (Path("/sys/class/net") / name).exists()]
    if shutil.which("nft") is None or os.geteuid() != 0:
        return devices
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    return devices + [line for line in tables.splitlines() if line.endswith(f" {names.table}")]


def remove_networks(data: Path) -> None:
    """Whatever dockerd still believes."""
    for found in networks(data):
        words = ["nft", "delete", *found.split()] if " " in found else ["ip", "link", "delete", found]
        subprocess.run(words, check=False, capture_output=True)


def task_folders(data: Path) -> list[str]:
    """What the drivers keep about each task, hidden drafts included."""
    folders = [path for driver in (data / "tasks").glob("*") for path in driver.iterdir() if path.is_dir()]
    return [str(path) for path in folders]


def control_groups(data: Path) -> list[Path]:
    """Those of native tasks, which are named by the attempt at the job."""
    marks = {
        hashlib.sha256(f"{uid}.{number}".encode()).hexdigest()[:12]
        for uid in _job_uids(data / "jobs.db")
        for number in range(INCARNATIONS)
    }
    groups = [*Path("/sys/fs/cgroup").glob("*/ucloud-ray/*"), *Path("/sys/fs/cgroup").glob("ucloud-ray/*")]
    return [group for group in groups if group.suffix.removeprefix(".") in marks]


def ray_folder(data: Path) -> Path:
    """Where the local Ray of this data folder keeps its sockets and logs."""
    data.mkdir(parents=True, exist_ok=True)
    ray_environment(data)
    option = next(word for word in ray_head_command(data, "", {}, {}, 1) if word.startswith("--temp-dir="))
    return Path(option.removeprefix("--temp-dir="))


def remove(data: Path, docker_url: str) -> None:
    """Everything, whatever state it is in, so that one failed test does not spoil the next."""
    for pid in processes(data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(Exception), closing(dockerd.client(docker_url)) as api:
        for container in containers(data, docker_url):
            api.remove_container(container["Id"], force=True)
    remove_networks(data)
    for point in reversed(mounts(data)):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    shutil.rmtree(ray_folder(data), ignore_errors=True)
    shutil.rmtree(data.parent, ignore_errors=True)


def _job_uids(file: Path) -> list[str]:
    if not file.exists():
        return []
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT uid FROM jobs")]
    return []


def _alive(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"


def _everything_of(entry: Path) -> bytes:
    folder = os.fsencode(os.readlink(entry / "cwd"))
    return b"\0".join([(entry / "cmdline").read_bytes(), (entry / "environ").read_bytes(), folder])


def _words(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()[:200]}"
    return f"{pid} (gone meanwhile)"
