"""Configuration as plain dataclasses. Says what, unit and why; reads nothing. `config` fills it.

The names in a file are the camelCase of these (`design` surface): `publicUrl` is `public_url`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    id: str = "example"
    """Provider id, part of every path that the Core calls."""
    listen: str = "127.0.0.1:8889"
    """HOST:PORT of the provider API; port 0 takes any free one."""
    public_url: str | None = None
    """What a browser and the Core use; `http://<listen>` when None."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Requests above this are answered 413 and not read further."""
    max_requests: int = 512
    """Calls that are answered at the same time; more are answered 503 and not read."""
    max_follows: int = 2_000
    """Streams of output that are open at the same time."""
    max_sessions: int = 500
    """Interactive sessions that are open at the same time."""
    ui_origins: tuple[str, ...] = ()
    """Origins (`https://cloud.example.org`) of the pages that may open sessions; none: any."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where web pages of jobs are: `<domainPrefix><job>-<rank><domainSuffix>` (IS-19)."""

    domain_prefix: str = "app-"
    domain_suffix: str = ".localhost"
    """Browsers find names below `.localhost` on their own machine; elsewhere a wildcard name of the domain system."""
    url: str | None = None
    """Scheme and port that browsers reach them at, as in `https://example.org:443`, whose name does not matter;
    those of `provider.publicUrl` when None."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""


@dataclass(frozen=True, slots=True)
class CoreSettings:
    url: str = "http://127.0.0.1:8080"
    refresh_token: str | None = None
    """Exchanged for access tokens (control-api 2.1)."""
    refresh_token_file: Path | None = None
    public_key: str | None = None
    """Base64 DER as UCloud/Core shows it; verifies what the Core sends."""
    public_key_file: Path | None = None
    """PEM or base64 DER."""
    timeout_seconds: float = 10.0
    """Of one control call."""


@dataclass(frozen=True, slots=True)
class RaySettings:
    address: str = "local"
    """`local`: started by `ucloud-ray up`; else what `ray.init` takes."""
    listen: str = "127.0.0.2:0"
    """HOST:PORT of the Ray that `up` starts, port 0 any free one. With an address that other machines reach they can
    join by `ucloud-ray node`."""
    namespace: str = "ucloud-ray"


@dataclass(frozen=True, slots=True)
class TimeSettings:
    """An amount of time in UCloud's own form."""

    hours: int = 0
    minutes: int = 0
    seconds: int = 0

    @property
    def millis(self) -> int:
        return ((self.hours * 60 + self.minutes) * 60 + self.seconds) * 1000


@dataclass(frozen=True, slots=True)
class ProductSettings:
    name: str
    category: str
    cpu: float = 1
    """Virtual cores; fractions are allowed."""
    memory_in_gigs: float = 1
    """Decimal gigabytes (ENV-36)."""
    gpu: int = 0
    price: int = 1_000_000
    """Per unit, in millionths of the currency for credits."""
    unit_of_price: str = "CREDITS_PER_MINUTE"
    description: str = ""
    cpu_model: str = ""
    memory_model: str = ""
    gpu_model: str = ""
    gpu_type: Literal["nvidia", "amd"] = "nvidia"
    """Whose devices the GPUs are."""
    custom_runtime: str | None = None
    """Docker runtime for containers on this product, as the daemon knows it; None: the daemon's default."""
    fraction: float = 1.0
    """The share of `cpu` that a replica occupies of its machine; it may use all (SCH-5, SCH-6). Not with GPUs."""
    priority: int = 0
    """Jobs on a product with a higher one come first in the queue of its category (SCH-10)."""
    paid_by: Literal["money", "unit", "cpu", "gpu", "memory"] | None = None
    """What the category's accounting unit counts, for usage reports (ACC-14): None: its price with a unit of price in
    credits, else one per replica."""
    free_to_use: bool = False
    max_time_allocation: TimeSettings | None = None
    """Longest time of a job, extensions included; a job must then have a time (TIME-9)."""
    backends: Mapping[str, Mapping[str, bool]] | None = None
    """`docker`, `native`, `virtualMachine` to feature flags; None: whatever works on the nodes."""


@dataclass(frozen=True, slots=True)
class CategorySettings:
    """What a machine keeps for its own system of every category that it sells by its hardware (SCH-5, SCH-7)."""

    system_reserved_cpu_millis: int = 500
    """Thousandths of a core."""
    system_reserved_cpu_millis_per_core: int | None = None
    """In place of it: for each core of the largest product of the category."""


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    cpu: float
    memory_in_gigs: float
    gpu: int = 0


@dataclass(frozen=True, slots=True)
class NodeSettings:
    match: Mapping[str, str] = field(default_factory=lambda: {"host": "*"})
    """`host`: shell pattern on our host name."""
    categories: tuple[str, ...] = ()
    capacity: Mapping[str, CapacitySettings] = field(default_factory=dict)
    """Category to what a matching machine sells; may exceed the hardware. Default: the hardware, less what the system
    keeps for itself."""
    system_reserved_memory_bytes: int = 0
    """What such a machine keeps of its memory (SCH-7)."""


@dataclass(frozen=True, slots=True)
class AccountingSettings:
    style: Literal["documented", "legacyCore", "reportUsage", "none"] = "documented"
    """How use is told to the Core (ACC-11): `documented` and `legacyCore` by charges, `reportUsage` by reports, which
    the current Core wants; `none`: not at all."""


@dataclass(frozen=True, slots=True)
class DriveOwner:
    type: Literal["user", "project"]
    username: str | None = None
    """With a project: the member whose own files these are (ENV-2); None: the whole project's."""
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class DriveSettings:
    id: str
    title: str
    path: Path
    owner: DriveOwner


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The network of containers (D14)."""

    mode: Literal["bridge", "none"] = "bridge"
    """`bridge`: one bridge per machine, closed by default; needs root and nftables. `none`: no network."""
    range: str = "10.83.0.0/16"
    """Of all bridges together; must not meet any other network of the cluster."""
    node_prefix: int = 24
    """Each machine gets a subnet of this size."""
    between: Literal["vxlan", "routes", "none"] = "vxlan"
    """How bridges reach each other: our VXLAN, routes over a network that all machines share, or the operator's own."""
    outbound: tuple[str, ...] = ("0.0.0.0/0",)
    """What jobs may reach outside of the cluster (ENV-44); an empty list: nothing."""
    denied: tuple[str, ...] = ()
    """What they may never reach, beside the cluster's machines, the store and metadata addresses, which we know."""
    dns: tuple[str, ...] = ()
    """Name servers of containers; empty: those of the machine, less the ones that a container cannot reach."""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Credentials of a container registry (ENV-55)."""

    host: str
    """`registry.example.com` or `registry.example.com:5000`, as images are called."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    """In place of the password, on every machine that runs containers; read at each pull."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Every option named in job-semantics, by its name there."""

    canceling_state: bool = True
    """LC-4."""
    exit_code_policy: Literal["mission", "strict"] = "mission"
    """LC-10, LC-11."""
    replica_end_policy: Literal["first", "all"] = "first"
    """LC-7."""
    replica_linger_seconds: float = 5.0
    """LC-7."""
    restart_on_exit: Literal["accept", "reject"] = "accept"
    """LC-28."""
    native_accounts: Literal["shared", "own"] = "shared"
    """Whom processes run as (ENV-28, ENV-29): all as the job user, or each user as an account of their own."""
    stop_grace_seconds: float = 10.0
    """ENV-42."""
    node_loss_grace_seconds: float = 60.0
    """SCH-16, REC-4."""
    log_replay_bytes: int = 1024 * 1024
    """LOG-5, per rank and stream."""
    pids_limit: int = 32_768
    """ENV-39."""
    open_files_limit: int = 1_048_576
    """ENV-39."""
    container_root: Literal["allow", "remapped", "never"] = "allow"
    """Whether applications with `runAsRoot` are accepted; `remapped`: only on machines whose Docker daemon maps root of
    a container to another user (ENV-34)."""
    scratch_bytes: int | None = None
    """Limit of what a container writes outside of its mounts (ENV-40). Only where Docker's storage can do it."""
    sensitive_projects: tuple[str, ...] = ()
    """Ids of projects whose jobs run in containers only and see nothing of other projects (ENV-20)."""
    replicas_per_actor: int = 1
    """D5: how many ranks one replica actor may serve at once."""
    warm_replica_actors: int = 4
    """D5: idle replica actors kept per node."""
    automatic_homes: bool = True
    """Make a drive for a workspace that has none below `dataDir/drives`. Off: such a job is refused."""
    suspended_time_counts: bool = True
    """TIME-4."""
    vm_on_lock: Literal["suspend", "terminate"] = "suspend"
    """What becomes of a machine whose owner has no funds or permissions any more (SUS-10)."""
    access_check_seconds: float = 300.0
    """Between two looks at whether jobs may still use the drives of others that they use (ACC-19)."""
    max_start_attempts: int = 3
    """How often a start that failed for a passing reason is tried (SCH-11)."""
    pull_retry_seconds: float = 900.0
    """How long a transient pull error is retried (ENV-55)."""
    starvation_age_seconds: float = 3600.0
    """A job that waited longer keeps room free for itself (SCH-10)."""
    orphan_grace_seconds: float = 300.0
    """How long a task that belongs to no job is left alone, from when it was first seen (ENV-59)."""
    charge_interval_seconds: float = 60.0
    """Between two looks at what running jobs owe (ACC-2)."""
    min_final_unit_fraction: float = 0.0
    """From which share of a unit of time on the last one of a job is charged as a whole (ACC-6)."""
    max_uncharged_hours: float = 24.0
    """No job is started any more when a charge has waited for the Core for longer than this (ACC-22)."""
    reconcile_minutes: float = 15.0
    """Between two comparisons of what UCloud/Core has of our jobs with what we have (REC-15)."""
    max_live_jobs: int = 50_000
    """Jobs that have not ended; a `create` beyond is answered 429."""
    max_waiting_updates: int = 100_000
    """Updates that UCloud/Core has not taken; while there are more, a `create` is answered 429."""
    watchdog_seconds: float = 60.0
    """A supervisor, front end or orchestrator that makes no progress for so long is started again (REC-6)."""
    log_max_bytes: int = 64 * 1024 * 1024
    """How much of a log we keep that its user deleted, per rank and stream; the oldest half goes first (LOG-16)."""
    follow_channels: bool = True
    """Send graphs of processor, memory, disk and network through the follow (W15)."""


@dataclass(frozen=True, slots=True)
class OrchestratorOptions:
    """What the orchestrator decides and a provider has no part in (our miniature of UCloud/Core only)."""

    initial_grant: int = 10**15
    """Credits of the allocation that every workspace has in every category from the first time it is asked for; in
    millionths of the currency. 0: what an administrator grants, and nothing else."""
    max_requests: int = 512
    """Requests of users that are answered at the same time; more are answered 503."""
    max_follows: int = 2_000
    """Follows that are open at the same time."""
    restart_pause_seconds: float = 2.0
    """Before a job with `restartOnExit` is started again (LC-25); doubled with every end that comes soon."""
    restart_pause_max_seconds: float = 300.0
    restart_calm_seconds: float = 600.0
    """A job that ran for so long has not ended soon: its pause is the shortest again."""


@dataclass(frozen=True, slots=True)
class Settings:
    provider: ProviderSettings = field(default_factory=ProviderSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    core: CoreSettings = field(default_factory=CoreSettings)
    data_dir: Path = Path("ucloud-ray-data")
    store: str | None = None
    """SQLAlchemy URL; `sqlite:///<dataDir>/jobs.db` when None."""
    ray: RaySettings = field(default_factory=RaySettings)
    products: tuple[ProductSettings, ...] = ()
    categories: Mapping[str, CategorySettings] = field(default_factory=dict)
    """Options of a category, by its name."""
    nodes: tuple[NodeSettings, ...] = ()
    drives: tuple[DriveSettings, ...] = ()
    registries: tuple[RegistrySettings, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    """UCloud user to account of the machines, where they have different names (`policy.nativeAccounts`)."""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    accounting: AccountingSettings = field(default_factory=AccountingSettings)
    node_dir: Path | None = None
    """Folder of each machine's own state: tasks and the private copies of logs. `{host}` stands for our name of the
    machine. `<dataDir>` when None."""
    policy: PolicySettings = field(default_factory=PolicySettings)
    orchestrator: OrchestratorOptions = field(default_factory=OrchestratorOptions)

    def state_of(self, host: str) -> Path:
        """Folder of that machine's own state."""
        return of_host(self.node_dir or self.data_dir, host)

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.data_dir.resolve() / 'jobs.db'}"


def of_host(folder: Path, host: str) -> Path:
    """A folder that may be another one on each machine: `{host}` in it stands for the machine."""
    return Path(str(folder).replace("{host}", host))
