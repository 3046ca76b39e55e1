"""What crosses the boundary between the control plane and a driver. Plain data, standard library only.

A *task* is one rank of one job on this machine. Its name is unique on the machine; its incarnation says which
attempt it is. A driver never runs two tasks of one name at once (REC-3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class TaskId:
    """Names one attempt at running one rank."""

    name: str
    """Unique on the machine, `j-<jobId>-job-<rank>` (ENV-43)."""
    incarnation: str
    """Opaque; differs between two attempts of the same name, also when the Core reuses a job id (O3)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of one task (ENV-36, ENV-37, ENV-39)."""

    cpu_milli: int
    """Thousandths of a core."""
    memory_bytes: int
    """Memory without swap; `/dev/shm` is as large and counts towards it."""
    pids: int = 32_768
    open_files: int = 1_048_576


@dataclass(frozen=True, slots=True)
class VariableRef:
    """An argument that is the value of a variable of the final environment, the image's own included (INV-16)."""

    name: str


@dataclass(frozen=True, slots=True)
class FileRef:
    """An argument that is the path, as the task sees it, of one of its `files`."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A Jinja template in place of arguments; rendered on the machine of the task, in a sandbox (INV-33 to INV-41)."""

    text: str
    context: Mapping[str, Any]
    """JSON values by name; `None` is an absent parameter (INV-35)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine that appears inside the task's environment (ENV-11 to ENV-19)."""

    source: str
    """Absolute path on this machine; must exist when the task starts."""
    target: str
    """Absolute path inside the environment."""
    read_only: bool = False
    root: str | None = None
    """The folder that `source` lies in and may not leave: links below it are followed as far as they stay inside, at
    the moment of the mount (ENV-18). None: `source` is trusted as it stands."""
    shown_as: str = ""
    """The UCloud path, for messages."""


@dataclass(frozen=True, slots=True)
class LogPaths:
    """Files that receive the raw bytes of the task's output, appended (D9, LOG-15)."""

    stdout: Path
    stderr: Path


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Everything a driver needs to run one task. Built by the control plane, the same on every attempt."""

    id: TaskId
    labels: Mapping[str, str]
    """`ucloud-ray/job`, `ucloud-ray/rank`, `ucloud-ray/incarnation`, `ucloud-ray/provider`."""
    argv: tuple[str | VariableRef | FileRef, ...]
    """Program and arguments, executed without a shell (INV-23). Empty: the image's own entry point (INV-27)."""
    environment: Mapping[str, str]
    """The task's variables. Nothing of the driver's own environment is added (ENV-32)."""
    job_folder: Path
    """Folder on this machine that the task sees as `/work` (containers) or starts in (processes)."""
    logs: LogPaths
    limits: Limits
    hostname: str
    image: str | None = None
    """Container or machine image; None for processes."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Variables that take the value of another one, which may be the image's own: name to the other's name (INV-16)."""
    template: Template | None = None
    """In place of `argv`, which is empty then."""
    environment_templates: Mapping[str, Template] = field(default_factory=dict)
    """Variables whose value is rendered, without quoting (INV-21)."""
    requires: str | None = None
    """A program without which the start makes no sense (`bash` of a template): `InvalidTask` where it is missing."""
    job_root: Path | None = None
    """The folder that `job_folder` lies in and may not leave, as for mounts."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Names and their addresses, beside the task's own: other ranks, peers (ENV-43, ENV-47)."""
    address: str | None = None
    """Its IPv4 address on the node's bridge (D14); None: no network of its own."""
    mounts: tuple[Mount, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Name below `/etc/ucloud` to content; read-only for the task (ENV-8)."""
    change_working_directory: bool = True
    """Start in `/work`; otherwise in the image's own directory (INV-44)."""
    run_as_root: bool = False
    """Whether an image whose user is root is acceptable (ENV-34, ENV-35)."""
    login: str | None = None
    """Account whose supplementary groups a process gets; None: none."""
    user: tuple[int, int] | None = None
    """uid and gid of a process; None: the user that runs the driver."""
    stop_grace_seconds: float = 10.0
    """Between SIGTERM and SIGKILL (ENV-42)."""
    gpu_count: int = 0
    """Whole devices that the task was promised (ENV-38)."""
    gpu_ids: tuple[str, ...] = ()
    """Which devices of this machine are its own, by their names there (SCH-21)."""
    gpu_type: Literal["nvidia", "amd"] = "nvidia"
    runtime: str | None = None
    """Docker runtime; None: the daemon's default."""

    @property
    def words(self) -> tuple[str, ...]:
        """`argv` once `variables.resolve` has replaced every reference in it."""
        assert all(isinstance(argument, str) for argument in self.argv), "resolve the references first"
        return tuple(argument for argument in self.argv if isinstance(argument, str))


@dataclass(frozen=True, slots=True)
class TaskHandle:
    """Enough for the driver that wrote it to find the task again, also in another process after a restart.

    `data` is opaque to everyone else and made of JSON values, because the control plane stores it.
    """

    driver: str
    id: TaskId
    version: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExitResult:
    """How a task ended. `code` and `signal` exclude each other; both None: the end was seen, the status was lost."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    """The memory limit was exceeded. A note: the exit status decides whether the task ended (runtime-facts)."""
    finished_at: float | None = None
    """Seconds since the epoch, by this machine's clock."""


class TaskState(StrEnum):
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    state: TaskState
    started_at: float | None = None
    exit: ExitResult | None = None
    """Set when, and only when, the state is ENDED."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a task uses at this moment."""

    cpu_seconds: float
    """Since the start."""
    memory_bytes: int
    processes: int
    network_received: int | None = None
    """Bytes since the start; None where the task has no network of its own."""
    network_sent: int | None = None
    disk_read: int | None = None
    """Bytes since the start; None where the kernel does not count them."""
    disk_written: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a start that is under way is doing, in words for users. The machine is named by whoever shows it."""

    doing: str
    """`Fetching the image acme/batch:1.0`"""
    detail: str = ""
    """`45 % of 1.2 GB`, or why it does not get on; empty when there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether a driver can run tasks on this machine, found by trying and not by looking at files."""

    available: bool
    reason: str = ""
    """Why not, and what to do about it; empty when available."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Facts worth showing, such as the version of the daemon."""


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task that exists on this machine, as its own labels tell."""

    id: TaskId
    labels: Mapping[str, str]
    created_at: float
    """Seconds since the epoch."""
