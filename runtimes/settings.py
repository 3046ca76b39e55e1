"""Settings of the drivers, one small dataclass each. Filled by the composition root; nothing here reads anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class NativeSettings:
    state_dir: Path
    """Where the waiter keeps one folder per task: specification, process id, exit status. Survives restarts."""
    cgroup_root: str = "ucloud-ray"
    """Name of our cgroup below each writable controller; tasks get a child each. Not writable: no hard limits."""
    require_cgroup: bool = False
    """Refuse to run processes without hard limits. Off by default so that a laptop works."""
    dev_dir: Path = Path("/dev")
    """Where the device files of GPUs are."""


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """How to log in to a container registry (ENV-55)."""

    host: str
    """`registry.example.com:5000`, as images are called; `docker.io` for names without a host."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    """In place of the password; on the machine that pulls."""


@dataclass(frozen=True, slots=True)
class DockerSettings:
    state_dir: Path
    """Where the files for `/etc/ucloud` are kept, one folder per task. Mounted read-only into the container."""
    base_url: str | None = None
    """Docker's socket; None: `$DOCKER_HOST` of the machine, else `unix:///var/run/docker.sock`."""
    pull_retry_seconds: float = 900.0
    """How long a transient pull error is retried (ENV-55)."""
    registries: tuple[RegistryLogin, ...] = ()
    job_user: tuple[int, int] | None = None
    """uid and gid of job folders and log files; a container's user is given the group (ENV-34). None: leave them."""
    container_root: Literal["allow", "remapped", "never"] = "allow"
    """Whether a task may be root inside its container: only where the daemon maps root to another user, or never."""
    scratch_bytes: int | None = None
    """Limit of a container's own layer (ENV-40), where the daemon's storage can do it; None: no limit."""
    network: str = "none"
    """Docker's name for this machine's network (D14), `network.names.Names.docker`; the containers of tasks that have
    an address are on it, others have none. `none`: this machine has no network for containers."""
    dns: tuple[str, ...] = ()
    """Name servers of containers; empty: those of the machine, less the ones that a container cannot reach."""


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
