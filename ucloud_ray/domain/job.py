"""A job and the phases of its life, as frozen data.

UCloud knows seven states (job-semantics 1.1). Inside we need more: a state carries only the data it may have.

    QUEUED ──PlacementGranted──▶ STARTING ──all ranks started──▶ RUNNING ──first rank ended──▶ LINGERING
      ▲ │                          │                               │                             │
      │ │                          │ start failed, stop, lost      │ stop, deadline, lost        │ all ended, or
      │ │                          ▼                               ▼                             │ the wait is over
      │ │                        ENDING ◀──────────────────────────┴─────────────────────────────┘
      │ │                          │ every rank has ended
      │ │ stop                     ▼
      │ └──────────────────────▶ CLEANING ──CleanedUp──▶ FINAL, or SUSPENDED when the goal was to suspend
      │                                                              │
      └───────────────────── unsuspend (T11) ────────────────────────┘

| phase     | UCloud state                                              | holds                                     |
|-----------|-----------------------------------------------------------|-------------------------------------------|
| QUEUED    | IN_QUEUE                                                  | nothing                                   |
| STARTING  | IN_QUEUE                                                  | a placement, maybe tasks                  |
| RUNNING   | RUNNING                                                   | a placement, every task                   |
| LINGERING | RUNNING                                                   | a placement, tasks of which some ended    |
| ENDING    | CANCELING if a user cancelled and the option is on, else what it was | a placement, maybe tasks       |
| CLEANING  | as ENDING                                                 | perhaps still a placement, ended tasks    |
| SUSPENDED | SUSPENDED                                                 | data                                      |
| FINAL     | SUCCESS, FAILURE, EXPIRED                                 | nothing                                   |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId


class JobState(StrEnum):
    """UCloud's states (job-semantics 1.1)."""

    IN_QUEUE = "IN_QUEUE"
    RUNNING = "RUNNING"
    CANCELING = "CANCELING"
    SUSPENDED = "SUSPENDED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    EXPIRED = "EXPIRED"

    @property
    def final(self) -> bool:
        return self in (JobState.SUCCESS, JobState.FAILURE, JobState.EXPIRED)


class Backend(StrEnum):
    """What runs a replica. The values are UCloud's `ToolBackend`."""

    DOCKER = "DOCKER"
    NATIVE = "NATIVE"
    VIRTUAL_MACHINE = "VIRTUAL_MACHINE"


# ------------------------------------------------------------------------------------------------ specification


@dataclass(frozen=True, slots=True)
class Owner:
    """The workspace: a project, or the creator's own when `project` is None."""

    created_by: str
    project: str | None = None

    @property
    def workspace(self) -> str:
        """Equal for two owners of the same one."""
        return f"project:{self.project}" if self.project else f"user:{self.created_by}"


AccountingStyle = Literal["documented", "legacyCore", "reportUsage", "none"]
"""How use is told to the Core, if at all (ACC-11, ACC-12)."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one replica on a product costs (ACC-4, ACC-14)."""

    unit: int | None
    """Milliseconds of one unit of time; None: paid once per job."""
    amount_milli: int = 1000
    """Usage of one replica in one unit, in thousandths: its cores, GPUs, gigabytes or price. For usage reports only."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The product's size and what it is called (SCH-1, SCH-2)."""

    product: ProductId
    cpu_milli: int
    memory_bytes: int
    gpu: int = 0
    cpu_model: str = ""
    memory_model: str = ""
    gpu_model: str = ""
    gpu_type: Literal["nvidia", "amd"] = "nvidia"
    """Whose devices they are; decides how a workload gets to see them (ENV-38)."""
    custom_runtime: str | None = None
    """Docker runtime of its containers; None: the machine's own."""
    priority: int = 0
    """Jobs on a product with a higher one come first in the queue of its category (SCH-10)."""
    booked_cpu_milli: int | None = None
    """What a replica occupies of its machine where it is less than it may use (SCH-5, SCH-6)."""
    tariff: Tariff | None = None
    """None: free to use (ACC-10)."""


@dataclass(frozen=True, slots=True)
class EnvRef:
    """An argument that is the value of an environment variable of the final environment (INV-16)."""

    variable: str


@dataclass(frozen=True, slots=True)
class MountRequest:
    """A UCloud path that the job wants to see (ENV-11 to ENV-14)."""

    ucloud_path: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """Another job that this one wants to reach, and that may reach it in turn (ENV-47)."""

    hostname: str
    """A DNS label in lower case (ENV-50)."""
    job_id: JobId


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, the same for every rank (LC-9)."""

    image: str | None
    """Container or machine image; None for processes (ENV-53)."""
    argv: tuple[str | EnvRef, ...]
    environment: Mapping[str, str]
    """The application's own variables (INV-18); the provider's are added per rank."""
    references: Mapping[str, str] = field(default_factory=dict)
    """The application's own variables that take the value of another one: name to the other's name (INV-16)."""
    mounts: tuple[MountRequest, ...] = ()
    change_working_directory: bool = True
    run_as_root: bool = False
    template: str | None = None
    """Jinja in place of `argv` (INV-17, INV-33)."""
    environment_templates: Mapping[str, str] = field(default_factory=dict)
    """The application's own variables that are Jinja: name to template (INV-21)."""
    template_context: Mapping[str, Any] = field(default_factory=dict)
    """What templates know of the parameters: name to JSON value (INV-35); the rest follows from job and rank."""
    init_script: str | None = None
    """Path inside the environment of a script that runs before all else (INV-26)."""
    opened_file: str | None = None
    """Path inside the environment of the file that it was opened with (RES-24)."""
    unseen_file: str | None = None
    """UCloud path of that file where the job sees no such file."""
    peers: tuple[PeerRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """What an application listens for: a web page, or a desktop (IS-2)."""

    kind: Literal["WEB", "VNC"]
    port: int
    """Inside of the job, of every rank."""
    password: str | None = None
    """Of a desktop, for whoever connects (W18)."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What was asked for. Never changes after the job was accepted."""

    owner: Owner
    application_name: str
    application_version: str
    application_title: str
    machine: Machine
    backend: Backend
    replicas: int
    launch: Launch
    name: str | None = None
    time_allocation: int | None = None
    """Milliseconds as asked at creation; None means no automatic end (TIME-1)."""
    restart_on_exit: bool = False
    interfaces: tuple[Interface, ...] = ()

    def interface(self, kind: str) -> Interface | None:
        return next((interface for interface in self.interfaces if interface.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that were in force when the job was accepted; a change of configuration does not reach it."""

    canceling_state: bool = True
    """Announce CANCELING between a user's cancellation and the end (LC-4)."""
    exit_code_policy: Literal["mission", "strict"] = "mission"
    """LC-10 or LC-11."""
    replica_end_policy: Literal["first", "all"] = "first"
    """LC-7."""
    replica_linger: int = 5_000
    """Milliseconds that the other ranks get to end by themselves (LC-7)."""
    stop_grace: int = 10_000
    """Milliseconds between SIGTERM and SIGKILL (ENV-42)."""
    max_start_attempts: int = 3
    """How often a placement whose start failed for a passing reason is given back and asked for again (SCH-11)."""
    start_pause: int = 2_000
    """Milliseconds before the second attempt to start; doubled for each one after it (SCH-11)."""
    suspended_time_counts: bool = True
    """Whether the allocation goes on while a machine is suspended (TIME-4)."""
    vm_on_lock: Literal["suspend", "terminate"] = "suspend"
    """What becomes of a machine whose owner has no funds or permissions any more; its end would take its disks
    (SUS-10)."""
    accounting_style: AccountingStyle = "documented"
    """A job keeps one for life, or its time would be charged twice (ACC-13)."""
    min_final_unit_fraction: float = 0.0
    """From which share of a unit on the last one is charged as a whole (ACC-6)."""


# ------------------------------------------------------------------------------------------------------- ranks


@dataclass(frozen=True, slots=True)
class Exit:
    """How the workload of a rank ended; the domain's copy of `runtimes.types.ExitResult`."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    at: Millis | None = None
    """When, if that is known: it may have been while nobody looked."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One replica in the present incarnation."""

    rank: int
    host: str
    """Our name of the machine, the label `ucloud-ray/host` (D7)."""
    address: str | None = None
    """IPv4 address on that machine's bridge, for a process the machine's own; None without a network (D14)."""
    handle: Mapping[str, Any] | None = None
    """The driver's handle as JSON once the replica has started, else None."""
    exit: Exit | None = None
    """Set once it has ended."""
    lost: bool = False
    """The runtime surely does not know it any more, or its machine was given up (REC-4, SCH-16)."""
    gpus: tuple[str, ...] = ()
    """The devices of that machine which are this rank's alone, from the grant until its end is cleaned up (SCH-21)."""

    @property
    def started(self) -> bool:
        return self.handle is not None

    @property
    def over(self) -> bool:
        return self.exit is not None or self.lost


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end that was decided and is announced once everything is gone (LC-19, REC-19)."""

    state: JobState
    """A final state, or SUSPENDED, or IN_QUEUE when the placement is given back to be asked for again."""
    status: str
    allow_restart: bool | None = None
    """LC-14."""
    silent: bool = False
    """Nothing more is announced: the Core does not know this job any more (REC-9, O3)."""
    resume: bool = False
    """With SUSPENDED: resume at once afterwards (W11)."""


# ------------------------------------------------------------------------------------------------------ phases


@dataclass(frozen=True, slots=True)
class Queued:
    since: Millis
    told_waiting: bool = False
    """Whether the text that no machine is free was sent for this stay in the queue (SCH-13)."""
    ranks: tuple[Rank, ...] = ()
    """Where the disks of a resumed machine are (SUS-6); else empty."""
    not_before: Millis | None = None
    """After a start that failed: when it may be placed again (SCH-11)."""
    kind: Literal["queued"] = "queued"


@dataclass(frozen=True, slots=True)
class Starting:
    ranks: tuple[Rank, ...]
    kind: Literal["starting"] = "starting"


@dataclass(frozen=True, slots=True)
class Running:
    ranks: tuple[Rank, ...]
    kind: Literal["running"] = "running"


@dataclass(frozen=True, slots=True)
class Lingering:
    ranks: tuple[Rank, ...]
    until: Millis
    kind: Literal["lingering"] = "lingering"


@dataclass(frozen=True, slots=True)
class Ending:
    ranks: tuple[Rank, ...]
    verdict: Verdict
    kind: Literal["ending"] = "ending"


@dataclass(frozen=True, slots=True)
class Cleaning:
    ranks: tuple[Rank, ...]
    verdict: Verdict
    kind: Literal["cleaning"] = "cleaning"


@dataclass(frozen=True, slots=True)
class Suspended:
    since: Millis
    ranks: tuple[Rank, ...] = ()
    """Where it last ran and its disks are."""
    resume: bool = False
    """Resume at the next `Tick` (W11)."""
    warned: bool = False
    """Whether its user was told that its time ends soon (TIME-4)."""
    kind: Literal["suspended"] = "suspended"


@dataclass(frozen=True, slots=True)
class Final:
    verdict: Verdict
    at: Millis
    ranks: tuple[Rank, ...] = ()
    """Where it last ran, so that its log can still be found."""
    kind: Literal["final"] = "final"


Phase = Queued | Starting | Running | Lingering | Ending | Cleaning | Suspended | Final


# --------------------------------------------------------------------------------------------------------- job


@dataclass(frozen=True, slots=True)
class TimeBook:
    """Times of one life of the job, all by wall clock (section 7)."""

    allocation: int | None = None
    """Milliseconds, extensions included; None: no automatic end. Ours, never read back from the Core (TIME-5)."""
    first_running: Millis | None = None
    last_running: Millis | None = None
    running_since: Millis | None = None
    """Start of the RUNNING interval that is not over yet."""
    ran: int = 0
    """Sum of the finished RUNNING intervals in milliseconds."""
    ran_before: int = 0
    """RUNNING of earlier lives of the job, which usage reports go on from (LC-26, ACC-13)."""
    last_stopped: Millis | None = None
    """End of the newest finished RUNNING interval."""
    charged: int = 0
    """How many milliseconds of RUNNING are charged; with usage reports, the usage that was reported."""


@dataclass(frozen=True, slots=True)
class Job:
    uid: JobUid
    id: JobId
    created_at: Millis
    """`createdAt` of the Core."""
    spec: JobSpec
    phase: Phase
    rules: Rules = field(default_factory=Rules)
    incarnation: int = 0
    """Number of the newest placement, or of the newest request for one that was given up; only ever grows. Events
    that carry another number change nothing."""
    failed_starts: int = 0
    """Placements given back in a row because a start failed (SCH-11)."""
    failed_hosts: tuple[str, ...] = ()
    """Where those starts failed; other machines are taken first."""
    told: JobState = JobState.IN_QUEUE
    """The last state announced to the Core."""
    times: TimeBook = field(default_factory=TimeBook)
    output_folder: str | None = None
    """UCloud path of the job folder once it exists (ENV-4)."""
    accepted_at: Millis | None = None
    """When we accepted it."""

    @property
    def final(self) -> bool:
        return isinstance(self.phase, Final)

    @property
    def ranks(self) -> tuple[Rank, ...]:
        """The ranks of the phases that have them, else nothing."""
        return getattr(self.phase, "ranks", ())
