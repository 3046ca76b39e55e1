"""Settings of the drivers, one small dataclass each. Filled by the composition root; nothing here reads anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NativeSettings:
    state_dir: Path
    """Where the waiter keeps one folder per task: specification, process id, exit status. Survives restarts."""
    cgroup_root: str = "ucloud-ray"
    """Name of our cgroup below each writable controller; tasks get a child each. Not writable: no hard limits."""
    require_cgroup: bool = False
    """Refuse to run processes without hard limits. Off by default so that a laptop works."""


@dataclass(frozen=True, slots=True)
class DockerSettings:
    state_dir: Path
    """Where the files for `/etc/ucloud` are kept, one folder per task. Mounted read-only into the container."""
    base_url: str | None = None
    """Docker's socket; None: `$DOCKER_HOST` of the machine, else `unix:///var/run/docker.sock`."""
    pull_retry_seconds: float = 900.0
    """How long a transient pull error is retried (ENV-55)."""
    network: str = "none"
    """Docker network of a container; `none` until the node's own bridge exists (D14)."""


@dataclass(frozen=True, slots=True)
class ScriptedSettings:
    state_dir: Path
    """Where the scripted driver keeps its tasks, so that another process finds them."""


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Settings of all drivers of one machine."""

    native: NativeSettings
    docker: DockerSettings
    scripted: ScriptedSettings | None = None
    enabled: tuple[str, ...] = field(default=("docker", "native"))
