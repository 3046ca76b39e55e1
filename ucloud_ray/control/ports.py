"""What the engine needs of the world. Implemented by `store`, `core_client` and `cluster`, and by the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from runtimes.network.plan import NetworkPlan
from runtimes.templating.rendered import Interfaces
from runtimes.types import ExitResult, FoundTask, Progress, TaskHandle, TaskId, TaskSpec
from ucloud_ray.domain.effects import Announce, Charge
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis
from ucloud_ray.domain.job import Backend, Job, JobState, Machine, Owner
from ucloud_ray.domain.sharing import Share

# ------------------------------------------------------------------------------------------------------- clock


class Clock(Protocol):
    def now(self) -> Millis:
        """Wall clock, for what is stored (TIME-13)."""
        ...


# ------------------------------------------------------------------------------------------------------- store


STATUS_ONLY_LIMIT = 64
"""Status-only updates of one job that may wait; older ones are dropped (REC-22)."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An update that the Core has not accepted yet."""

    seq: int
    """Ascending in the order of the decisions."""
    uid: JobUid | None
    """None for a job that we do not know (REC-12)."""
    job_id: JobId
    update: Announce
    at: Millis
    """When it was decided."""


@dataclass(frozen=True, slots=True)
class Change:
    """One job's new state and what is to be told about it; committed whole or not at all (D2)."""

    job: Job
    updates: tuple[Announce, ...] = ()
    document: Mapping[str, Any] | None = None
    """The `Job` as received; given with the first change of a job, and kept (REC-1)."""
    charges: tuple[Charge, ...] = ()
    """What is to be paid for from now on (ACC-8)."""


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A charge that the Core has not taken yet; outlives its job's end."""

    seq: int
    uid: JobUid
    job_id: JobId
    owner: Owner
    category: str
    """Of the product."""
    charge: Charge
    at: Millis
    """When it became due; of a usage report, the first part of it that waits."""


class JobStore(Protocol):
    """Durable truth. One writer. Every method may raise `store.errors.StoreUnavailable` (disk full, database gone):
    then nothing was written and the call may be repeated."""

    async def commit(self, changes: Sequence[Change]) -> list[OutboxRow]:
        """Write all changes in one transaction (concurrent calls may share it) and return the outbox rows made.

        The first change of a uid inserts the job; another non-forgotten job of the same id stops being the one that
        `find` returns (O3).
        """
        ...

    async def enqueue(self, job_id: JobId, update: Announce, now: Millis, uid: JobUid | None = None) -> OutboxRow:
        """An outbox row outside any decision: for a job that we do not know (REC-12), or for the one of this id that
        is over. It takes the place of whatever waits for another job of the same id (O3)."""
        ...

    async def acknowledge(self, seqs: Sequence[int]) -> None:
        """The Core accepted these updates, or they were dropped on purpose."""
        ...

    async def charges(self, limit: int) -> list[ChargeRow]:
        """The oldest charges that wait."""
        ...

    async def settle_charges(self, seqs: Sequence[int]) -> None:
        """The Core took these, or they were dropped on purpose. A newer report under the same scope stays."""
        ...

    async def waiting_charges(self) -> tuple[int, Millis | None]:
        """How many wait, and since when the oldest of them."""
        ...

    async def active_jobs(self) -> list[Job]:
        """All jobs that are not final, oldest first."""
        ...

    async def pending_updates(self) -> list[OutboxRow]:
        """The whole outbox in order."""
        ...

    async def find(self, ref: JobRef) -> Job | None:
        """The job that the Core means by this reference, active or final; None if unknown."""
        ...

    async def get(self, uid: JobUid) -> Job | None: ...

    async def document(self, uid: JobUid) -> Mapping[str, Any] | None:
        """The `Job` as received from the Core."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 random bytes under this name, made at the first call and the same for ever."""
        ...

    async def machine_number(self, host: str) -> int:
        """0, 1, 2, ... in the order of the first calls; the same for ever, and no other machine's (D14)."""
        ...

    async def machines(self) -> Sequence[str]:
        """Those that have a number."""
        ...

    async def drains(self) -> Mapping[str, str]:
        """Machines that take no new replicas, and the operator's message (SCH-15)."""
        ...

    async def set_drain(self, host: str, message: str | None) -> None:
        """Drain a machine; None: it takes replicas again."""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------------------------------------------ access


class AccessUnknown(Exception):
    """Nobody says at the moment who may use which drive; that ends nothing (D4)."""


class Access(Protocol):
    async def shares(self, drives: Sequence[str]) -> Mapping[str, Share]:
        """Who may use these drives, as the Core has it; what it does not have is missing. Raises `AccessUnknown`."""
        ...


class NobodyShares:
    """Where no Core can be asked: every workspace has its own drives and no others."""

    async def shares(self, drives: Sequence[str]) -> Mapping[str, Share]:
        return {}


# --------------------------------------------------------------------------------------------------- publisher


class Updates(Protocol):
    """Delivers outbox rows to the Core: at least once, in order per job."""

    def submit(self, rows: Sequence[OutboxRow]) -> None:
        """Take over rows that are on disk. Never blocks."""
        ...

    async def told(self, uid: JobUid) -> None:
        """Return once nothing of this job waits any more (LOG-13)."""
        ...

    def waits(self, uid: JobUid) -> bool:
        """Whether anything of this job waits."""
        ...

    def waits_for(self, id: JobId) -> bool:
        """Whether anything waits that the Core will take for this id's, also of a job that we do not know."""
        ...

    def backlog(self) -> tuple[int, Millis | None]:
        """Number of rows that wait, and when the oldest of them was decided."""
        ...


# --------------------------------------------------------------------------------------------- jobs of the Core


class CoreSilent(Exception):
    """The Core does not answer, or not to the end: nothing follows from what it said so far (D4)."""


@dataclass(frozen=True, slots=True)
class Believed:
    """A job of ours as the Core has it."""

    ref: JobRef
    state: JobState | None
    """None: one that we do not know, of a later Core."""


class CoreJobs(Protocol):
    """What the Core has of ours. Every method may raise `CoreSilent`."""

    async def active(self) -> Sequence[Believed]:
        """Every job that it believes active or suspended: all of them, or none and `CoreSilent`."""
        ...

    async def find(self, ref: JobRef) -> Believed | None:
        """This very job, whatever its state; None if the Core surely has it no more, or another one by its id (O3)."""
        ...


# ----------------------------------------------------------------------------------------------------- cluster


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster at this moment."""

    host: str
    """Our name, the label `ucloud-ray/host` (D7)."""
    address: str
    alive: bool
    backends: frozenset[Backend]
    """What can run there now."""
    capacity: Mapping[str, tuple[int, int, int]]
    """Category to what is sold of it: thousandths of a core, bytes of memory, GPUs."""
    problems: Mapping[str, str]
    """Backend (or topic) to why it is not available there."""
    relay: tuple[str, int] | None = None
    """Address and port of its log relay; None while its agent does not answer."""
    described: bool = True
    """Whether its agent has told what works there."""
    networked: bool = False
    """Whether containers can have a network there (D14); `problems["network"]` says why not."""
    network: str | None = None
    """Digest of the network plan that is in force there (`NetworkPlan.digest`); None: none is, or nobody knows."""
    gpus: tuple[str, ...] = ()
    """Names of its devices, as its drivers take them (ENV-38)."""
    own_addresses: tuple[str, ...] = ()
    """Every address of the machine itself, which containers must not reach (ENV-44)."""


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    uid: JobUid
    incarnation: int
    machine: Machine
    backend: Backend
    replicas: int
    hosts: tuple[str, ...]
    """Host of rank i, as our own scheduler chose; the cluster confirms all of them at once or none (D6)."""


class Started(NamedTuple):
    """A task that was started."""

    handle: TaskHandle
    exit: ExitResult | None = None
    """How it ended, if it did so within a moment: a short job is then spared a call."""
    interfaces: Interfaces = Interfaces()
    """What its template declared (IS-30)."""


class ClusterUnavailable(Exception):
    """The cluster, a machine or an actor does not answer: what it runs is unknown, not gone (D4)."""


class HostGone(ClusterUnavailable):
    """The cluster does not have this machine at the moment. Still no proof of anything (D4)."""


class NoRoomNow(Exception):
    """All ranks at once do not fit at the moment (SCH-11)."""


class Cluster(Protocol):
    """Placement, and tasks on the machines of the cluster. Driver errors (`runtimes.errors`) pass through."""

    async def nodes(self) -> list[Node]: ...

    async def place(self, request: PlacementRequest) -> None:
        """Reserve room for all ranks or raise `NoRoomNow`, leaving nothing reserved. The same uid and incarnation again
        changes nothing. Raises `ClusterUnavailable`."""
        ...

    async def keep_only(self, reservations: Mapping[JobUid, int]) -> None:
        """After a restart: give back every reservation that is not of these jobs and incarnations."""
        ...

    async def release(self, uid: JobUid, incarnation: int) -> None:
        """Give back the reservation of this incarnation and of older ones; nothing to give back is success."""
        ...

    async def prepare_and_start(self, host: str, backend: Backend, spec: TaskSpec) -> Started:
        """`Driver.prepare`, then `Driver.start` on that machine."""
        ...

    async def progress(self, host: str, backend: Backend, id: TaskId) -> Progress | None:
        """What a start that is under way is doing; None if that is not known at the moment. Raises nothing."""
        ...

    async def recover(self, host: str, backend: Backend, id: TaskId) -> TaskHandle: ...

    async def wait(self, host: str, backend: Backend, handle: TaskHandle) -> ExitResult: ...

    async def waiting(self) -> int:
        """How many ends are waited for on the machines that answer, as these say themselves."""
        ...

    async def stop(self, host: str, backend: Backend, handle: TaskHandle, grace_seconds: float) -> None: ...

    async def destroy(self, host: str, backend: Backend, id: TaskId) -> None: ...

    async def list_tasks(self, host: str, provider_id: str) -> list[tuple[Backend, FoundTask]]:
        """Every task of ours that exists on that machine, running or ended, by what can run there now (ENV-59)."""
        ...

    async def apply_network(self, host: str, plan: NetworkPlan) -> None:
        """Put the plan in force on that machine; `Node.network` is its digest afterwards."""
        ...

    async def set_hosts(self, host: str, backend: Backend, id: TaskId, hosts: Mapping[str, str]) -> None:
        """What a running task knows beside its own name: names and addresses, whole (`SetsHosts`)."""
        ...
