"""Two machines of a cluster with their containers, a third that has nothing to do with it, all of them real.

           ┌ a1 a2 a3    Docker filters what this machine forwards, and forwards nothing by itself
    host a ┤
           └ NodeNetwork in a process of its own
    host b ─ b1 b2       Docker leaves the firewall alone
    host c               outside

Every test begins with the plans that it needs; containers and daemons are shared.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from runtimes.docker.driver import DockerDriver
from runtimes.network.names import Names
from runtimes.network.plan import Neighbour, NetworkPlan
from runtimes.settings import DockerSettings
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec
from tests.support import dockerd, hosts, images
from tests.support.hosts import Host
from tests.support.network_agent import REPOSITORY, NetworkAgent
from tests.support.wait import wait_until

NAME = "test"
RANGE = "10.83.0.0/16"
SERVED, OTHER = 80, 6379
PROBE = REPOSITORY / "tests/support/network_probe.py"
DOCKER_TCP = ("--host=tcp://0.0.0.0:2375", "--tls=false")
"""A port that containers would like to reach."""

Pairs = Iterable[tuple[str, str]]


@dataclass
class Listener:
    """A server in some network, and what it heard."""

    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def heard(self) -> list[str]:
        """One line a datagram."""
        return self.log.read_text().splitlines()[1:]


@dataclass
class Task:
    """A container on a machine's network, with servers on `SERVED` and `OTHER`."""

    name: str
    address: str
    host: Host
    pid: int
    listener: Listener | None = None

    def inside(self, *words: str | Path) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *map(str, words)]

    def probe(self, *words: str) -> str:
        return self.run(sys.executable, PROBE, *words).stdout.strip()

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program of this machine in the task's network, with all rights."""
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def reach(self, *targets: str) -> dict[str, str]:
        """Which of `HOST:PORT` answer, and what: `NAME CLIENT`, or `refused`."""
        found: dict[str, str] = json.loads(self.probe("reach", *targets))
        return found

    @contextmanager
    def connection(self, to: Task) -> Iterator[Connection]:
        process = subprocess.Popen(
            self.inside(sys.executable, PROBE, "talk", to.address, str(SERVED)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        connection = Connection(process)
        assert process.stdout.readline() == f"{to.name} {self.address}\n"
        try:
            yield connection
        finally:
            process.kill()
            process.communicate()


@dataclass
class Connection:
    process: subprocess.Popen[str]

    def exchange(self, word: str) -> int:
        """How many bytes came back for this line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@dataclass
class Site:
    """One machine of the cluster."""

    host: Host
    subnet: str
    api: docker.APIClient
    agent: NetworkAgent
    tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def settings(self) -> DockerSettings:
        return DockerSettings(self.host.folder / "tasks", base_url=self.host.docker_url, network=Names(NAME).docker)

    def specification(self, name: str, address: str, **changes: Any) -> TaskSpec:
        """A container that does nothing."""
        folder = self.host.folder / "jobs" / name
        folder.mkdir(parents=True, exist_ok=True)
        plain: dict[str, Any] = {
            "id": TaskId(name, "1"),
            "labels": {"ucloud-ray/provider": "network-tests"},
            "argv": ("sleep", "100000"),
            "environment": {},
            "job_folder": folder,
            "logs": LogPaths(folder / "stdout-0.log", folder / "stderr-0.log"),
            "limits": Limits(cpu_milli=1000, memory_bytes=64_000_000, pids=64, open_files=1024),
            "hostname": f"host-{name}",
            "image": images.tiny_image(self.api),
            "user": (11042, 11042),
            "address": address,
        }
        return TaskSpec(**plain | changes)

    def crash(self) -> None:
        """Agent and Docker both."""
        self.agent.kill()
        assert self.host.daemon is not None
        self.host.daemon.kill()

    def come_back(self) -> None:
        assert self.host.daemon is not None
        self.host.daemon.start()
        self.agent.restart()

    def pid(self, name: str) -> int:
        answer: dict[str, Any] = self.api.inspect_container(name)
        return int(answer["State"]["Pid"])


@dataclass
class Bed:
    a: Site
    b: Site
    outside: Host
    tasks: dict[str, Task] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)

    @property
    def sites(self) -> tuple[Site, Site]:
        return self.a, self.b

    def plan(self, site: Site, pairs: Pairs = (), **changes: Any) -> NetworkPlan:
        """Pairs are of task names. The other machine and its own addresses are denied, as in a cluster."""
        others = [other for other in self.sites if other is not site]
        addresses = tuple((self.tasks[one].address, self.tasks[other].address) for one, other in pairs)
        plain: dict[str, Any] = {
            "subnet": site.subnet,
            "range": RANGE,
            "address": site.host.address,
            "neighbours": tuple(Neighbour(other.subnet, other.host.address) for other in others),
            "pairs": addresses,
            "denied": tuple(f"{one.host.address}/32" for one in self.sites),
        }
        return NetworkPlan(NAME, **plain | changes)

    def apply(self, pairs: Pairs = (), **changes: Any) -> None:
        pairs = list(pairs)
        for site in self.sites:
            plan = self.plan(site, pairs, **changes)
            assert site.agent.apply(plan) == plan.digest

    def reached(self) -> set[tuple[str, str]]:
        """Which task gets an answer from which other one, tried with all of them at once."""
        port = f":{SERVED}"
        targets = {f"{task.address}{port}": task.name for task in self.tasks.values()}
        asking = {
            task.name: subprocess.Popen(
                task.inside(sys.executable, PROBE, "reach", *targets), stdout=subprocess.PIPE, text=True
            )
            for task in self.tasks.values()
        }
        answers = {name: json.loads(process.communicate()[0]) for name, process in asking.items()}
        for name, answer in answers.items():
            assert all(said == f"{targets[at]} {self.tasks[name].address}" for at, said in answer.items()), answer
        return {(name, targets[at]) for name, answer in answers.items() for at in answer if targets[at] != name}

    @contextmanager
    def serving(self, host: Host, *ports: int) -> Iterator[Listener]:
        """A server called `outside` on that machine, for a while; on `SERVED`, if no port is named."""
        listener = self.listen(host.command(), host.folder, "outside", *(ports or (SERVED,)))
        try:
            yield listener
        finally:
            self.listeners.remove(listener)
            listener.end()

    def listen(self, inside: list[str], folder: Path, name: str, *ports: int) -> Listener:
        """A server on all addresses of that network; ended with the bed."""
        log = folder / f"heard-by-{name}"
        with log.open("wb") as output:
            words = [*inside, sys.executable, str(PROBE), "serve", name, *map(str, ports)]
            listener = Listener(subprocess.Popen(words, stdout=output), log)
        self.listeners.append(listener)
        wait_until(lambda: log.read_text().startswith("ready"), f"{name} to listen")
        return listener


def both_ways(pairs: Pairs) -> set[tuple[str, str]]:
    return {(one, other) for pair in pairs for one, other in (tuple(pair), tuple(reversed(pair)))}


def from_host(host: Host, *targets: str) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads(host.run(sys.executable, PROBE, "reach", *targets).stdout)
    return found


@contextmanager
def network_bed() -> Iterator[Bed]:
    """All of it, with `a1` to `b2` running."""
    with ExitStack() as at_end:
        lan = at_end.enter_context(hosts.hosts(3, daemons=False))
        lan[0].start_daemon(["--bridge=none", "--iptables=true", *DOCKER_TCP])
        lan[1].start_daemon(["--bridge=none", "--iptables=false"])
        # What Docker does where it is the first to switch forwarding on.
        lan[0].run("iptables", "-P", "FORWARD", "DROP")
        # On the one machine what is bridged is not shown to the rules for what is routed, on the other it is.
        for host, shown in zip(lan.hosts, "01", strict=False):
            host.run("sysctl", "-w", f"net.bridge.bridge-nf-call-iptables={shown}")
        sites = [_site(at_end, host, number) for number, host in enumerate(lan.hosts[:2], start=1)]
        bed = Bed(*sites, outside=lan[2])
        at_end.callback(_end_listeners, bed)
        bed.apply()
        for name in ("a1", "a2", "a3", "b1", "b2"):
            bed.tasks[name] = _task(bed, bed.a if name[0] == "a" else bed.b, name)
        yield bed


def _site(at_end: ExitStack, host: Host, number: int) -> Site:
    api = dockerd.client(host.docker_url)
    at_end.callback(api.close)
    agent = NetworkAgent(host)
    at_end.callback(agent.kill)
    return Site(host, f"10.83.{number}.0/24", api, agent)


def _task(bed: Bed, site: Site, name: str) -> Task:
    address = site.subnet.replace(".0/24", f".1{name[1]}")
    asyncio.run(start(site, site.specification(name, address)))
    task = Task(name, address, site.host, site.pid(name))
    task.listener = bed.listen(task.inside(), site.host.folder, name, SERVED, OTHER)
    return task


def output_of(site: Site, container: str, words: list[str]) -> str:
    """Both streams of a program in the container, which is given two seconds."""
    output: bytes = site.api.exec_start(site.api.exec_create(container, ["timeout", "2", *words])["Id"])
    return output.decode()


@contextmanager
def stranger(site: Site) -> Iterator[str]:
    """A container of the operator's, on a network of its own; its name."""
    api, name = site.api, "operators"
    network = api.create_network(name, driver="bridge")["Id"]
    host_config = api.create_host_config(network_mode=name)
    api.create_container(images.tiny_image(api), ["sleep", "1000"], name=name, host_config=host_config)
    api.start(name)
    try:
        yield name
    finally:
        api.remove_container(name, force=True)
        api.remove_network(network)


async def start(site: Site, specification: TaskSpec) -> None:
    driver = DockerDriver(site.settings)
    await driver.prepare(specification)
    await driver.start(specification)
    await driver.close()


def _end_listeners(bed: Bed) -> None:
    for listener in bed.listeners:
        listener.end()
