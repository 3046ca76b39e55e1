"""Whether containers can run here, found by asking the daemon, and in words that say what to do if not.

Called by `driver` in a thread. Never raises.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Protocol

from runtimes.docker import host, opener
from runtimes.docker.host import DEFAULT_SOCKET
from runtimes.errors import DriverError
from runtimes.types import Capabilities

_LIMITING_STORAGE = frozenset({"btrfs", "zfs", "devicemapper"})
_NO_SCRATCH = (
    "policy.scratchBytes is set, but Docker's storage ({driver}) cannot limit containers: use overlay2 on XFS with"
    " project quotas, btrfs or zfs, or take the setting away."
)


class Daemon(Protocol):
    base_url: str | None

    def version(self) -> Mapping[str, Any]: ...
    def info(self) -> Mapping[str, Any]: ...


def probe(daemon: Daemon, scratch_bytes: int | None = None) -> Capabilities:
    """`scratch_bytes`: the limit of a container's own layer that is configured (ENV-40)."""
    url = daemon.base_url or DEFAULT_SOCKET
    if reason := _trouble_with_socket(url):
        return Capabilities(available=False, reason=reason)
    try:
        version, info = daemon.version(), daemon.info()
    except DriverError:
        return Capabilities(available=False, reason=f"The Docker daemon at {url} does not answer: restart it.")
    if opener.find_busybox() is None:
        return Capabilities(available=False, reason=opener.MISSING)
    if scratch_bytes is not None and not _can_limit_layers(info):
        return Capabilities(available=False, reason=_NO_SCRATCH.format(driver=info.get("Driver")))
    return Capabilities(available=True, details=_details(version, info, daemon.base_url))


def _can_limit_layers(info: Mapping[str, Any]) -> bool:
    """For overlays on XFS the daemon does not tell whether quotas are on; it then refuses the container."""
    backing = dict(pair for pair in info.get("DriverStatus") or [] if len(pair) == 2).get("Backing Filesystem")
    return info.get("Driver") in _LIMITING_STORAGE or (info.get("Driver") == "overlay2" and backing == "xfs")


def _details(version: Mapping[str, Any], info: Mapping[str, Any], base_url: str | None) -> dict[str, str]:
    """`liveRestore` false means that stopping the daemon ends every container."""
    mapped = host.remapped_root(info)
    return {
        "version": str(version.get("Version", "")),
        "api": str(version.get("ApiVersion", "")),
        "liveRestore": str(info.get("LiveRestoreEnabled", False)).lower(),
        "rootInside": "confined" if mapped is None else f"mapped to {mapped[0]}:{mapped[1]}",
        "mounts": "held" if host.can_hold_mounts(base_url) else "checked",
    }


def _trouble_with_socket(url: str) -> str | None:
    """Why nobody can be asked there; None when somebody can, or when it is no socket of this machine."""
    if not url.startswith("unix://"):
        return None
    path = url.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
    except FileNotFoundError:
        return f"Docker's socket {path} does not exist: install Docker and start its daemon."
    except ConnectionRefusedError:
        return f"Nobody listens at Docker's socket {path}: start the Docker daemon."
    except PermissionError:
        return f"Docker's socket {path} may not be opened: run as root, or add this user to the group docker."
    except OSError as error:
        return f"Docker's socket {path} cannot be used: {error.strerror}."
    return None
