"""Several hosts on this machine: network namespaces on one switch, each with an address and a Docker daemon of its own.

    test process ── lan3 (10.91.3.254)      this machine's own namespace
                      │
                   switch (namespace lan3)
                   │       │       │
                lan3h1   lan3h2   lan3h3    namespaces, 10.91.3.1, .2, .3

`hosts(3)` makes them and removes everything at its end, and fails if something in there still ran. Two at once do not
meet. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.dockerd import PrivateDaemon
from tests.support.wait import wait_until

_NAMESPACES = Path("/var/run/netns")
_LEAVING_SECONDS = 10.0


def missing() -> str | None:
    """Why no hosts can be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    programs = [name for name in ("ip", "bridge", "nsenter", "dockerd") if shutil.which(name) is None]
    return f"{', '.join(programs)} not installed (Debian: iproute2, util-linux, docker.io)" if programs else None


@dataclass
class Host:
    """One of them. Its file system is this machine's: folders must be told apart by the caller."""

    name: str
    """Of its namespace."""
    address: str
    """On the switch. Its only one at the start, on its device `eth0`."""
    folder: Path
    """Scratch of its own, with a short path; removed at the end."""
    switch: str
    daemon: PrivateDaemon | None = field(default=None, init=False)

    def command(self, *words: str | Path) -> list[str]:
        """What runs `words` in its network, for callers with wishes of their own.

        Not `ip netns exec`: that mounts a fresh `/sys`, where dockerd misses the control groups.
        """
        return ["nsenter", f"--net={_NAMESPACES / self.name}", *map(str, words)]

    def run(self, *words: str | Path, check: bool = True, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0 or not check, f"{self.name}: {words} said {done.stderr or done.stdout}"
        return done

    def pids(self, words: str = "") -> list[int]:
        """Processes in its network whose command line begins so."""
        found = []
        for pid in _processes(self.name):
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").startswith(words):
                    found.append(pid)
        return found

    def spawn(self, *words: str | Path) -> subprocess.Popen[str]:
        """Left running, all three streams in pipes. The caller ends it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*words), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    @property
    def docker_url(self) -> str:
        assert self.daemon is not None, f"{self.name} has no daemon"
        return self.daemon.url

    def start_daemon(self, network: Sequence[str] = ("--bridge=none", "--iptables=false")) -> PrivateDaemon:
        """`network`: dockerd's options about it. Returns when it answers; images have to be brought to each."""
        place = self.folder / "docker"
        place.mkdir()
        self.daemon = PrivateDaemon(place, tuple(self.command()), tuple(network))
        self.daemon.start()
        return self.daemon

    def cut(self) -> None:
        """The switch forgets it. The host itself is not told, as when something breaks on the way."""
        _switch_port(self, "disabled")

    def rejoin(self) -> None:
        _switch_port(self, "forwarding")


@dataclass
class Segment:
    """All of them, and the test's own end."""

    name: str
    network: str
    """`10.91.3.0/24`."""
    outside: str
    """This machine's address on the switch, and the hosts' way to everywhere else."""
    folder: Path
    hosts: list[Host]

    def __getitem__(self, index: int) -> Host:
        return self.hosts[index]


@contextmanager
def hosts(count: int, *, daemons: bool = True) -> Iterator[Segment]:
    """`count` hosts, with a daemon each that does nothing to the network, or without."""
    segment = _new_segment()
    left: list[str] = []
    try:
        for number in range(1, count + 1):
            segment.hosts.append(_new_host(segment, number))
        for host in segment.hosts if daemons else ():
            host.start_daemon()
        yield segment
    finally:
        left = _remove(segment)
    assert not left, f"still ran on the hosts: {left}"
    _require_nothing(segment)


def _new_segment() -> Segment:
    """Making the namespace takes the number: only one process succeeds."""
    for number in range(1, 255):
        name, subnet = f"lan{number}", f"10.91.{number}"
        if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
            continue
        _ip(f"link add {name} type veth peer name root netns {name}", f"link set {name} up")
        _ip(f"address add {subnet}.254/24 dev {name}")
        _ip("link add switch type bridge", "link set switch up", "link set root master switch up", namespace=name)
        return Segment(name, f"{subnet}.0/24", f"{subnet}.254", Path(tempfile.mkdtemp(prefix="lan-")), [])
    raise AssertionError("255 segments at once: remove those that nobody uses, `ip netns list`")


def _new_host(segment: Segment, number: int) -> Host:
    name, address = f"{segment.name}h{number}", segment.network.replace(".0/24", f".{number}")
    _ip(f"netns add {name}", f"link add {name} netns {segment.name} type veth peer name eth0 netns {name}")
    _ip(f"link set {name} master switch up", namespace=segment.name)
    _ip("link set lo up", "link set eth0 up", f"address add {address}/24 dev eth0", namespace=name)
    _ip(f"route add default via {segment.outside}", namespace=name)
    folder = segment.folder / str(number)
    folder.mkdir()
    return Host(name, address, folder, segment.name)


def _switch_port(host: Host, state: str) -> None:
    into_switch = ["nsenter", f"--net={_NAMESPACES / host.switch}"]
    subprocess.run([*into_switch, "bridge", "link", "set", "dev", host.name, "state", state], check=True)


def _remove(segment: Segment) -> list[str]:
    """Everything, whatever state it is in. Returns what still ran in there although it should not."""
    for host in segment.hosts:
        if host.daemon is not None:
            host.daemon.remove()
    names = [segment.name, *(host.name for host in segment.hosts)]
    left = [told for name in names for told in _kill_all(name)]
    subprocess.run(["ip", "link", "delete", segment.name], capture_output=True, check=False)
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    shutil.rmtree(segment.folder, ignore_errors=True)
    return left


def _kill_all(namespace: str) -> list[str]:
    """A namespace lives as long as its last process. Returns their command lines."""
    told = []
    for pid in _processes(namespace):
        with suppress(OSError):
            told.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _processes(namespace), f"the processes of {namespace} to end", _LEAVING_SECONDS)
    return told


def _processes(namespace: str) -> list[int]:
    try:
        inode = os.stat(_NAMESPACES / namespace).st_ino
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.stat(entry / "ns/net").st_ino == inode:
                found.append(int(entry.name))
    return found


def _require_nothing(segment: Segment) -> None:
    names = {segment.name, *(host.name for host in segment.hosts)}
    left = names & {path.name for folder in (_NAMESPACES, Path("/sys/class/net")) for path in folder.iterdir()}
    assert not left, f"left behind: {left}"
    assert not segment.folder.exists(), f"{segment.folder} could not be removed"


def _ip(*commands: str, namespace: str | None = None) -> None:
    """Lines for `ip`, in order."""
    into = [] if namespace is None else ["-netns", namespace]
    text = "\n".join(commands)
    done = subprocess.run(["ip", *into, "-batch", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {commands}: {done.stderr}"
