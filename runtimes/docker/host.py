"""What this machine and its Docker daemon allow, so that a limit never exceeds it. Asked once per driver."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runtimes.mounts import pins

_CAP_SYS_RESOURCE = 24
DEFAULT_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class HostFacts:
    cpus: int
    memory_bytes: int
    open_files: int
    """Largest open-file limit that the daemon can give to a container."""
    pins: bool = False
    """Whether the daemon sees mounts that this process makes, and it may make some (`runtimes.mounts.pins`)."""
    remapped_root: tuple[int, int] | None = None
    """uid and gid on the machine of root in a container, where the daemon remaps users; None: it does not."""
    seccomp: bool = True
    """Whether system calls of a container can be filtered."""
    architecture: str = ""
    """`x86_64`, as the daemon calls it."""

    def group_inside(self, gid: int) -> int | None:
        """How a group of the machine is called in a container; None if a container cannot have it."""
        if self.remapped_root is None:
            return gid
        return 0 if self.remapped_root[1] == gid else None


class InfoSource(Protocol):
    """The daemon, as far as its own facts go."""

    base_url: str | None

    def info(self) -> Mapping[str, Any]: ...


def look(daemon: InfoSource) -> HostFacts:
    """Raises `errors.RuntimeUnavailable`."""
    info = daemon.info()
    return HostFacts(
        cpus=int(info["NCPU"]),
        memory_bytes=int(info["MemTotal"]),
        open_files=open_file_limit(daemon.base_url),
        pins=can_hold_mounts(daemon.base_url),
        remapped_root=remapped_root(info),
        seccomp=_has_option(info, "seccomp"),
        architecture=str(info.get("Architecture", "")),
    )


def remapped_root(info: Mapping[str, Any]) -> tuple[int, int] | None:
    """The daemon tells that it remaps users, and whom root becomes only by the name of its folder: `<root>/uid.gid`."""
    if not _has_option(info, "userns"):
        return None
    uid, _, gid = str(info.get("DockerRootDir", "")).rpartition("/")[2].partition(".")
    return (int(uid), int(gid)) if uid.isdigit() and gid.isdigit() else None


def _has_option(info: Mapping[str, Any], name: str) -> bool:
    options = info.get("SecurityOptions") or []
    return any(f"name={name}" in str(option).split(",") for option in options)


def can_hold_mounts(base_url: str | None) -> bool:
    """Whether what a container shall see can be held by `runtimes.mounts.pins`."""
    return pins.supported() and sees_our_mounts(base_url)


def sees_our_mounts(base_url: str | None, proc: Path = Path("/proc")) -> bool:
    """Whether the daemon shares this process's mount namespace. False where it cannot be looked at."""
    pid = _daemon_pid(base_url or DEFAULT_SOCKET)
    try:
        return pid is not None and os.readlink(proc / str(pid) / "ns/mnt") == os.readlink(proc / "self/ns/mnt")
    except OSError:
        return False


def open_file_limit(base_url: str | None, proc: Path = Path("/proc")) -> int:
    """What the daemon may set `RLIMIT_NOFILE` to: anything up to the kernel's maximum if it has CAP_SYS_RESOURCE,
    else its own hard limit. The kernel's maximum where the daemon cannot be looked at."""
    kernel = int((proc / "sys/fs/nr_open").read_text())
    pid = _daemon_pid(base_url or DEFAULT_SOCKET)
    try:
        return kernel if pid is None or _may_raise(proc / str(pid)) else min(kernel, _hard_limit(proc / str(pid)))
    except OSError:
        return kernel


def _daemon_pid(base_url: str) -> int | None:
    """Process that listens on the socket (the service manager, where that one opened it)."""
    if not base_url.startswith("unix://"):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(base_url.removeprefix("unix://"))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid or None


def _may_raise(process: Path) -> bool:
    effective = int(_field(process / "status", "CapEff:"), 16)
    return bool(effective >> _CAP_SYS_RESOURCE & 1)


def _hard_limit(process: Path) -> int:
    hard = _field(process / "limits", "Max open files").split()[1]
    return 2**63 if hard == "unlimited" else int(hard)


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name)
    raise OSError(f"{file} has no line {name!r}")
