"""A Docker daemon for tests: the one that answers on this machine, else a private one, started by root.

A private daemon has its own data, sockets and containers, and leaves the machine's network alone. It keeps containers
running while it is away (`live-restore`), as a daemon under ucloud-ray must.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import requests

from tests.support import images
from tests.support.wait import wait_until

_FAILURES = (docker.errors.DockerException, requests.RequestException, OSError)


def missing() -> str | None:
    """Why no daemon can be had here, or None."""
    if reason := images.missing_programs():
        return reason
    if _url_that_answers() or can_start():
        return None
    return "no Docker daemon answers, and none can be started (needs root, and Debian's docker.io)"


REMAPPED = "ucloud-remap"
"""The account to which `scripts/dev-env` gives the user ids of a daemon that maps root to the job user."""


def missing_remapped() -> str | None:
    """Why no daemon that maps users can be started here, or None."""
    if not can_start():
        return "a Docker daemon of its own can only be started by root, with Debian's docker.io installed"
    tables = [file.read_text().splitlines() for file in map(Path, ("/etc/subuid", "/etc/subgid")) if file.exists()]
    if len(tables) == 2 and all(f"{REMAPPED}:11042:1" in table for table in tables):
        return None
    return f"{REMAPPED} is not in /etc/subuid and /etc/subgid with 11042 as root: run scripts/dev-env"


def can_start() -> bool:
    """Whether a private daemon can be started here."""
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


@functools.cache
def shared_url() -> str:
    """URL of the daemon that all tests of this process share. A private one is stopped when the process ends."""
    if url := _url_that_answers():
        return url
    daemon = PrivateDaemon(Path(tempfile.mkdtemp(prefix="dockerd-")))
    atexit.register(daemon.remove)
    daemon.start()
    return daemon.url


def client(url: str) -> docker.APIClient:
    return docker.APIClient(url, version="auto", timeout=30)


@dataclass
class PrivateDaemon:
    """`folder` should have a short path: a socket's name may have no more than about 100 characters."""

    folder: Path
    prefix: tuple[str, ...] = ()
    """What runs it elsewhere, in another network namespace say; it must become dockerd and not stay its parent."""
    network: tuple[str, ...] = ("--bridge=none", "--iptables=false", "--ip-forward=false")
    options: tuple[str, ...] = ()
    """More of the daemon's own."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/d.sock"

    def start(self) -> None:
        """Returns when it answers."""
        config = self.folder / "daemon.json"
        config.write_text('{"live-restore": true}')
        with (self.folder / "log").open("ab") as log:
            # In a session of its own, so that an interrupt of the tests does not reach it before its containers do.
            self.process = subprocess.Popen(self._command(config), stdout=log, stderr=log, start_new_session=True)
        wait_until(self._answers, f"dockerd to answer; see {self.folder}/log")

    def stop(self) -> None:
        """Containers go on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def kill(self) -> None:
        """As a crash. Containers go on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None
            # Its containerd dies with it. Where process 1 does not reap, the dead one keeps its number, and the next
            # daemon would take it for a living one.
            (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def remove(self) -> None:
        """End it and everything that it ran; idempotent. Containers of a daemon that is away are only found by one."""
        if not self.folder.exists():
            return
        if self.process is None:
            self.start()
        with contextlib.suppress(*_FAILURES):
            _remove_containers(self.url)
        self.stop()
        _unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, config: Path) -> list[str]:
        places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
        options = [f"{option}={self.folder / place}" for option, place in places.items()]
        told = [f"--config-file={config}", f"--host={self.url}", *options, *self.network, *self.options]
        return [*self.prefix, "dockerd", *told]

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"dockerd ended: {(self.folder / 'log').read_text()[-2000:]}")
        return _answers(self.url)


def _remove_containers(url: str) -> None:
    with contextlib.closing(client(url)) as api:
        for container in api.containers(all=True):
            api.remove_container(container["Id"], force=True, v=True)


def _unmount_below(folder: Path) -> None:
    """A daemon mounts its data folder onto itself, and one that keeps containers leaves that so."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed(points):
        if Path(point).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _url_that_answers() -> str | None:
    candidates = (os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock")
    return next((url for url in candidates if url and _answers(url)), None)


def _answers(url: str) -> bool:
    try:
        with contextlib.closing(client(url)) as api:
            return bool(api.ping())
    except _FAILURES:
        return False
