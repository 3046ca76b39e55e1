"""How a container is joined to its machine's network, and which names it knows (D14, ENV-43). Called by `launch`.

Docker would make `/etc/hosts` and `/etc/resolv.conf` itself, with a name server that knows every container of the
bridge. Both are files of ours instead, in the task's folder, mounted read-only: a root in there must not fill our disk.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtimes.docker import files, hosts_file
from runtimes.errors import InvalidTask, StartFailed, TaskNotFound
from runtimes.network import names
from runtimes.settings import DockerSettings
from runtimes.types import TaskSpec

NO_NETWORK = "none"

_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_NOBODY = "127.0.0.1"
"""A name server of a container that has none. Docker's own takes the machine's otherwise, past our rules."""


def attached(config: dict[str, Any], spec: TaskSpec, settings: DockerSettings) -> dict[str, Any]:
    """The "create container" call with the network that the task is to have: none without an address.

    Raises `errors.InvalidTask`; `errors.StartFailed`, where this machine gives no network to anybody.
    """
    if spec.address is None:
        return config
    if settings.network == NO_NETWORK:
        raise StartFailed("Containers have no network on this machine: its operator must switch it on.")
    mac = names.task_mac(names.address(spec.address))
    endpoint = {"IPAMConfig": {"IPv4Address": spec.address}, "MacAddress": mac}
    folder = files.task_folder(settings.state_dir, spec.id.name)
    host_config = config["HostConfig"] | {
        "NetworkMode": settings.network,
        "Dns": list(name_servers(settings.dns)) or [_NOBODY],
        "Mounts": [*config["HostConfig"]["Mounts"], *_mounts(folder)],
    }
    # The link address is said twice: older daemons read the first, newer ones the second.
    return config | {
        "MacAddress": mac,
        "NetworkingConfig": {"EndpointsConfig": {settings.network: endpoint}},
        "HostConfig": host_config,
    }


def write(spec: TaskSpec, settings: DockerSettings) -> None:
    """The two files, before the container starts. Raises `errors.InvalidTask`, `OSError`."""
    if spec.address is None:
        return
    folder = files.task_folder(settings.state_dir, spec.id.name)
    hosts_file.write(folder / "hosts", spec.address, spec.hostname, spec.hosts)
    resolver = folder / "resolv.conf"
    resolver.write_bytes(_resolver_file(name_servers(settings.dns)))
    resolver.chmod(0o644)


def change_hosts(container: Mapping[str, Any], settings: DockerSettings, task: str, hosts: Mapping[str, str]) -> None:
    """Replace what the task of that name, in that container (as inspected), knows beside itself.

    Raises `errors.InvalidTask`, `errors.TaskNotFound`.
    """
    file = files.task_folder(settings.state_dir, task) / "hosts"
    endpoint = container["NetworkSettings"]["Networks"].get(settings.network) or {}
    address = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
    if address is None:
        raise InvalidTask("The task has no network of its own, so it can know nobody's name.")
    try:
        hosts_file.change(file, address, container["Config"]["Hostname"], hosts)
    except FileNotFoundError as missing:
        raise TaskNotFound("The task is not on this machine any more.") from missing


def name_servers(chosen: Sequence[str], resolvers: Sequence[Path] = _RESOLVERS) -> tuple[str, ...]:
    """The operator's choice; else those of this machine that can be asked from a container: not itself, IPv4."""
    if chosen:
        return tuple(chosen)
    for file in resolvers:
        if found := tuple(server for server in _listed(file) if _reachable(server)):
            return found
    return ()


def _mounts(folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "Type": "bind",
            "Source": str(folder / name),
            "Target": f"/etc/{name}",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate"},
        }
        for name in ("hosts", "resolv.conf")
    ]


def _resolver_file(servers: Sequence[str]) -> bytes:
    return "".join(f"nameserver {server}\n" for server in servers or (_NOBODY,)).encode()


def _listed(file: Path) -> list[str]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return []
    words = (line.split() for line in lines)
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def _reachable(server: str) -> bool:
    try:
        address = ipaddress.IPv4Address(server)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
