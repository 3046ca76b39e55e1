"""Bare `docker run -d`: on the daemon of `$DOCKER_HOST` or of this machine, else on a private one, by root.

The image is a busybox made on the spot, because a benchmark must not need a registry.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError, Unavailable
from benchmarks.peers.services import require, service, wait_until

IMAGE = "ucloud-ray-benchmark/tiny:1"
APPLETS = ("sh", "yes", "head")
"""Other names of the one program in it, beside `sleep`."""
USUAL = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Docker:
    url: str

    def run_detached(self, options: Sequence[str], *command: str) -> str:
        """Returns when the container runs; its id."""
        return _docker(self.url, "run", "--detach", *options, IMAGE, *command)

    def container_labelled(self, label: str) -> str | None:
        """Id of the container that runs with this label; None if there is none."""
        ids = _docker(self.url, "ps", "--quiet", f"--filter=label={label}").split()
        return ids[0] if ids else None

    def inspect_labelled(self, label: str) -> str | None:
        """`docker inspect` of the container that runs with this label; None if there is none."""
        found = self.container_labelled(label)
        return _docker(self.url, "inspect", found) if found else None

    def command(self, *arguments: str) -> list[str]:
        """What runs this docker command in a shell's place."""
        return ["docker", "--host", self.url, *arguments]

    def remove(self, container: str) -> None:
        _docker(self.url, "rm", "--force", container)

    def make_image(self) -> None:
        ended = subprocess.run(
            self.command("import", "--change=USER 11042:11042", "-", IMAGE),
            input=_root_file_system(),
            capture_output=True,
            check=False,
        )
        if ended.returncode != 0:
            raise BenchmarkError(f"docker import: {ended.stderr.decode().strip()[-300:]}")

    def remove_image(self) -> None:
        _docker(self.url, "rmi", "--force", IMAGE)


@contextlib.contextmanager
def running() -> Iterator[Docker]:
    """Raises `Unavailable` when no daemon answers and none can be started."""
    require("docker", "busybox", package="docker.io and busybox-static (Debian's packages)")
    with contextlib.ExitStack() as stack:
        found = next((url for url in (os.environ.get("DOCKER_HOST"), USUAL) if url and _answers(url)), None)
        docker = Docker(found or stack.enter_context(_private_daemon()))
        docker.make_image()
        try:
            yield docker
        finally:
            docker.remove_image()


@contextlib.contextmanager
def _private_daemon() -> Iterator[str]:
    """Its URL. It leaves the machine's network alone, and takes its containers with it."""
    require("dockerd", package="docker.io (Debian's package), or start a Docker daemon")
    if os.geteuid() != 0:
        raise Unavailable("no Docker daemon answers, and a private one is started by root only")
    folder = Path(tempfile.mkdtemp(prefix="ucd-"))
    url, log = f"unix://{folder}/d.sock", folder / "log"
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host={url}"]
    (folder / "daemon.json").write_text("{}")
    command = ["dockerd", f"--config-file={folder}/daemon.json", *places]
    try:
        with service([*command, "--bridge=none", "--iptables=false", "--ip-forward=false"], log):
            wait_until(lambda: _answers(url), "dockerd", log)
            yield url
    finally:
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unmount_below(folder: Path) -> None:
    """A daemon mounts its data folder onto itself."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed(points):
        if Path(point).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _answers(url: str) -> bool:
    command = ["docker", "--host", url, "version", "--format={{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _docker(url: str, *arguments: str) -> str:
    ended = subprocess.run(["docker", "--host", url, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BenchmarkError(f"docker {arguments[0]}: {ended.stderr.strip()[-300:]}")
    return ended.stdout.strip()


def _root_file_system() -> bytes:
    program = Path(shutil.which("busybox") or "").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("bin/sleep")
        entry.mode, entry.size = 0o755, len(program)
        tar.addfile(entry, io.BytesIO(program))
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "sleep"
            tar.addfile(link)
    return buffer.getvalue()
