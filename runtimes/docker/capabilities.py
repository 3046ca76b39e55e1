"""Whether containers can run here, found by asking the daemon, and in words that say what to do if not.

Called by `driver` in a thread. Never raises.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Protocol

from runtimes.docker.host import DEFAULT_SOCKET
from runtimes.errors import DriverError
from runtimes.types import Capabilities


class Daemon(Protocol):
    base_url: str | None

    def version(self) -> Mapping[str, Any]: ...
    def info(self) -> Mapping[str, Any]: ...


def probe(daemon: Daemon) -> Capabilities:
    url = daemon.base_url or DEFAULT_SOCKET
    if reason := _trouble_with_socket(url):
        return Capabilities(available=False, reason=reason)
    try:
        return Capabilities(available=True, details=_details(daemon.version(), daemon.info()))
    except DriverError:
        return Capabilities(available=False, reason=f"The Docker daemon at {url} does not answer: restart it.")


def _details(version: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, str]:
    """`liveRestore` false means that stopping the daemon ends every container."""
    return {
        "version": str(version.get("Version", "")),
        "api": str(version.get("ApiVersion", "")),
        "liveRestore": str(info.get("LiveRestoreEnabled", False)).lower(),
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
