"""A task specification as the body of Docker's "create container" call. Pure; called by `launch`.

One function per concern. Everything that a daemon's own configuration could change (log driver, restart policy, init)
is said explicitly, so that a task behaves alike on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes import gpus
from runtimes.docker import opener, seccomp
from runtimes.docker.host import HostFacts
from runtimes.docker.users import ROOT, RunsAs
from runtimes.errors import InvalidTask
from runtimes.mounts.sources import WORK
from runtimes.types import Limits, LogPaths, Mount, TaskSpec

INCARNATION = "ucloud-ray/incarnation"
PROVIDER = "ucloud-ray/provider"
STDOUT = "ucloud-ray/docker.stdout"
STDERR = "ucloud-ray/docker.stderr"
JOB_FOLDER = "ucloud-ray/docker.job-folder"
JOB_ROOT = "ucloud-ray/docker.job-root"
_OWN_LABELS = frozenset({STDOUT, STDERR, JOB_FOLDER, JOB_ROOT})

ETC = "/etc/ucloud"

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

# What Docker grants by default, less what a job has no use for: raw sockets, device nodes, writing audit records. And
# less what gives rights to a file that others may start: capabilities of files, keeping a set-user-id mode.
_DROPPED_FROM_ROOT = ("AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "FSETID")

_LOG_CONFIG = {"Type": "none", "Config": {}}
"""The daemon never sees the output (docs/decisions/0012-output-through-named-pipes.md)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container's definition takes from its machine and its image."""

    host: HostFacts
    user: RunsAs
    """Who the task is inside the container; the group of the job folder included."""
    binds: tuple[Mount, ...]
    """`/work`, then the task's own mounts, with sources as the daemon shall find them."""
    etc_folder: Path
    """Folder on this machine with the content of `spec.files`."""
    output_folder: Path
    """Folder on this machine with the pipes for the task's output (`opener`)."""
    image_command: tuple[str, ...] = ()
    """ENTRYPOINT and CMD of the image, for a task that leaves them as they are."""
    scratch_bytes: int | None = None
    """Limit of the container's own layer (ENV-40)."""


def container_config(spec: TaskSpec, around: Surroundings) -> dict[str, Any]:
    """The container of this task.

    Raises `errors.InvalidTask` for what can be seen to be wrong without asking the daemon.
    """
    _check(spec)
    return {
        "Image": spec.image,
        "Hostname": spec.hostname,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Labels": labels(spec),
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "Tty": False,
        "OpenStdin": False,
        "User": f"{around.user.uid}:{around.user.gid}",
        **_command(spec, around),
        **_working_directory(spec),
        "HostConfig": host_config(spec, around),
    }


def _check(spec: TaskSpec) -> None:
    if not spec.image:
        raise InvalidTask("A container needs an image, and the application names none.")
    if not _NAME.fullmatch(spec.id.name):
        raise InvalidTask(f"{spec.id.name!r} cannot be the name of a container.")


def labels(spec: TaskSpec) -> dict[str, str]:
    """The task's labels, with the incarnation of its id in any case, because attaching goes by it; and where its output
    goes: a process that only knows the task's id must find that too."""
    return {
        **spec.labels,
        INCARNATION: spec.id.incarnation,
        STDOUT: str(spec.logs.stdout),
        STDERR: str(spec.logs.stderr),
        JOB_FOLDER: str(spec.job_folder),
        **({} if spec.job_root is None else {JOB_ROOT: str(spec.job_root)}),
    }


def public_labels(container_labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that the task was given (image labels included, which Docker mixes in)."""
    return {key: value for key, value in container_labels.items() if key not in _OWN_LABELS}


def log_paths(container_labels: Mapping[str, str]) -> LogPaths:
    return LogPaths(Path(container_labels[STDOUT]), Path(container_labels[STDERR]))


def environment(spec: TaskSpec) -> dict[str, str]:
    """Of the container, beside its image's. What decides about GPUs is ours to say, whatever the application says."""
    return {**spec.environment, **gpus.variables_of_container(spec)}


def _command(spec: TaskSpec, around: Surroundings) -> dict[str, Any]:
    """Replaces both ENTRYPOINT and CMD (INV-23); an empty vector means the image's own (INV-27). Without those either,
    the daemon is left to say so."""
    program = spec.words if spec.argv else around.image_command
    return opener.command(program) if program else {}


def _working_directory(spec: TaskSpec) -> dict[str, Any]:
    return {"WorkingDir": WORK} if spec.change_working_directory else {}


def host_config(spec: TaskSpec, around: Surroundings) -> dict[str, Any]:
    return {
        # A PID 1 without handlers ignores SIGTERM, and nobody would collect orphans.
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": _LOG_CONFIG,
        "NetworkMode": "none",
        "Mounts": mounts(around),
        "GroupAdd": [str(group) for group in dict.fromkeys((*around.user.groups, *gpus.groups_of_container(spec)))],
        **_privileges(around),
        **_limits(spec.limits, around.host),
        **_scratch(around),
        **gpus.of_container(spec),
    }


def _privileges(around: Surroundings) -> dict[str, Any]:
    """ENV-34. `no-new-privileges` would break `sudo` and the like for those who are root in there anyway. Root of a
    container that is not root of the machine needs no profile of ours."""
    if around.user.uid != ROOT:
        return {"Privileged": False, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}
    confined = [] if around.host.remapped_root else [seccomp.security_option()]
    return {"Privileged": False, "CapDrop": list(_DROPPED_FROM_ROOT), "SecurityOpt": confined}


def _scratch(around: Surroundings) -> dict[str, Any]:
    return {} if around.scratch_bytes is None else {"StorageOpt": {"size": str(around.scratch_bytes)}}


def _limits(limits: Limits, host: HostFacts) -> dict[str, Any]:
    """ENV-36, ENV-37, ENV-39. A product may sell more than the machine has; Docker refuses such a limit."""
    memory = min(limits.memory_bytes, host.memory_bytes)
    files = min(limits.open_files, host.open_files)
    return {
        "NanoCpus": min(limits.cpu_milli * 1_000_000, host.cpus * 1_000_000_000),
        "Memory": memory,
        "MemorySwap": memory,
        "ShmSize": memory,
        "PidsLimit": limits.pids,
        "Ulimits": [{"Name": "nofile", "Soft": files, "Hard": files}],
    }


def mounts(around: Surroundings) -> list[dict[str, Any]]:
    """`/work`, `/etc/ucloud` (also when empty: files may be added while the task runs), the pipes of the output, then
    the task's own."""
    work, *others = around.binds
    ours = [
        Mount(str(around.etc_folder), ETC, read_only=True),
        Mount(str(around.output_folder), opener.TARGET, read_only=True),
    ]
    return [_bind(mount) for mount in (work, *ours, *others)]


def _bind(mount: Mount) -> dict[str, Any]:
    """A mount of type `bind`, because the older `-v` form makes a missing source into an empty folder (ENV-15)."""
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }
