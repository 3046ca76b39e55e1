"""The options of `docker run` that make a container like a given one. Called by `container_start`.

A bare `docker run` with fewer options than ours would be a peer that does less: limits, mounts, a network and a log
driver cost Docker the same time, whoever asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_FILES = ("/etc/hosts", "/etc/resolv.conf")

Inspected = Mapping[str, Any]
"""What `docker inspect` tells of one container."""


def same_options(container: Inspected, folder: Path) -> list[str]:
    """Everything but the name, the address and the command. Mounted are files and folders below `folder`, made here,
    as many and of the same kinds."""
    host, config = container["HostConfig"], container["Config"]
    return [
        *_limits(host),
        *_privileges(host, folder),
        *_logging(host),
        *_identity(host, config),
        *_mounts(container.get("Mounts") or (), folder),
    ]


def _limits(host: Mapping[str, Any]) -> Iterator[str]:
    flags = {"Memory": "memory", "MemorySwap": "memory-swap", "ShmSize": "shm-size", "PidsLimit": "pids-limit"}
    yield from (f"--{flag}={host[key]}" for key, flag in flags.items() if host.get(key))
    if host.get("NanoCpus"):
        yield f"--cpus={host['NanoCpus'] / 1e9:g}"
    yield from (f"--ulimit={limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in host.get("Ulimits") or ())


def _privileges(host: Mapping[str, Any], folder: Path) -> Iterator[str]:
    yield from (f"--cap-drop={name}" for name in host.get("CapDrop") or ())
    yield from (f"--cap-add={name}" for name in host.get("CapAdd") or ())
    yield from (f"--group-add={group}" for group in host.get("GroupAdd") or ())
    for option in host.get("SecurityOpt") or ():
        yield f"--security-opt={_by_file(option, folder)}"
    if host.get("Init"):
        yield "--init"


def _by_file(option: str, folder: Path) -> str:
    """The daemon is sent a profile, the client a file with it."""
    name, _, content = option.partition("=")
    if name != "seccomp" or not content.lstrip().startswith("{"):
        return option
    file = folder / "seccomp.json"
    file.write_text(content)
    return f"seccomp={file}"


def _logging(host: Mapping[str, Any]) -> Iterator[str]:
    log = host["LogConfig"]
    yield f"--log-driver={log['Type']}"
    yield from (f"--log-opt={key}={value}" for key, value in (log.get("Config") or {}).items())


def _identity(host: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    yield f"--network={host['NetworkMode']}"
    yield f"--hostname={config['Hostname']}"
    yield from (
        f"--{flag}={config[key]}" for key, flag in {"User": "user", "WorkingDir": "workdir"}.items() if config[key]
    )
    yield from (f"--env={variable}" for variable in config.get("Env") or ())
    yield from (f"--label={name}={value}" for name, value in (config.get("Labels") or {}).items())


def _mounts(mounts: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[str]:
    for number, mount in enumerate(mounts):
        source = _like(mount["Destination"], folder / f"mount-{number}")
        read_only = "" if mount["RW"] else ",readonly"
        yield f"--mount=type=bind,source={source},target={mount['Destination']}{read_only}"


def _like(target: str, source: Path) -> Path:
    """By the target, because our own sources are held only while a container starts."""
    if target in _FILES:
        source.write_text("")
    else:
        source.mkdir()
        source.chmod(0o777)
    return source


def read(inspected: str) -> Inspected:
    """The one container of `docker inspect`."""
    container: Inspected = json.loads(inspected)[0]
    return container
