"""What the outside may ask of the engine: the front end through the supervisor actor, tests of a plain object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ucloud_ray.control.log_range import LogRange
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis, ProductId
from ucloud_ray.domain.job import Backend, JobSpec, JobState


@dataclass(frozen=True, slots=True)
class NewJob:
    id: JobId
    created_at: Millis
    spec: JobSpec
    document: Mapping[str, Any]
    """The `Job` as received."""


@dataclass(frozen=True, slots=True)
class BackendSupport:
    """Flags of one backend of one product (models 5.1). What is False is refused with 400 (job-semantics 5.6)."""

    enabled: bool = False
    web: bool = False
    vnc: bool = False
    logs: bool = False
    terminal: bool = False
    peers: bool = False
    time_extension: bool = False
    suspension: bool = False
    utilization: bool = False
    bind_link_to_port: bool = False


@dataclass(frozen=True, slots=True)
class ProductSupport:
    product: ProductId
    backends: Mapping[Backend, BackendSupport]
    """All three backends are present (W1)."""
    queue_status: str
    """`AVAILABLE`, `BUSY` or `FULL` (W7, SCH-20)."""


@dataclass(frozen=True, slots=True)
class Utilization:
    """SCH-17, SCH-18. CPU in virtual cores, memory in bytes, jobs counted once whatever their replicas."""

    capacity_cpu: float
    capacity_memory: int
    used_cpu: float
    used_memory: int
    running: int
    pending: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as an operator or a follower sees it."""

    uid: JobUid
    id: JobId
    created_at: Millis
    version: int
    """Grows with every change."""
    state: JobState
    """The last state announced, whether or not the Core has it already."""
    phase: str
    told: bool
    """Whether the Core accepted everything announced so far (LOG-13)."""
    owner: str
    project: str | None
    application: str
    product: ProductId
    replicas: int
    hosts: tuple[str, ...]
    """Host of rank i of the newest placement; empty before the first."""
    status: str
    """Why it waits, or how it ended."""
    place_in_queue: int | None
    """1 for the next of its category; None when it does not wait for room."""

    @property
    def final(self) -> bool:
        """Also for a job that the Core forgot, whose end is never announced (O3)."""
        return self.state.final or self.phase == "final"


@dataclass(frozen=True, slots=True)
class LogChunk:
    """New text of one stream of one rank (LOG-2). Invalid bytes are skipped, no character is cut (LOG-3)."""

    rank: int
    stdout: str | None = None
    stderr: str | None = None
    offset: int = 0
    """Where the stream's file is to be read on after this text, in bytes: follow from here and nothing is missed or
    comes twice."""


@dataclass(frozen=True, slots=True)
class UsageChunk:
    """New samples of what one rank uses (W15)."""

    rank: int
    samples: tuple[Sample, ...]
    reset: bool = False
    """What was said of this rank before is void: it comes again, thinner."""


FollowItem = LogChunk | UsageChunk

Place = tuple[int, str]
"""Rank, and `stdout` or `stderr`."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the output of some ranks is, and the permission to read it there (D8)."""

    host: str
    address: str
    port: int
    ranks: tuple[int, ...]
    ticket: str = field(repr=False)
    replay_bytes: int


@dataclass(frozen=True, slots=True)
class SessionWanted:
    """One item of a request for interactive sessions (IS-1)."""

    ref: JobRef
    rank: int
    kind: str
    """`SHELL`, `WEB` or `VNC`."""
    target: str | None = None


@dataclass(frozen=True, slots=True)
class SessionOpened:
    secret: str = field(repr=False)
    """The only credential of the session (IS-3): of a terminal the id of one connection, else a ticket that is good
    until the job leaves RUNNING (W8)."""
    password: str | None = field(default=None, repr=False)
    """Of a desktop (W18)."""


@dataclass(frozen=True, slots=True)
class PortSource:
    """Where a port of a rank is to be had, and the permission to connect with it there (D8)."""

    address: str
    port: int
    """Of the relay."""
    ticket: str = field(repr=False)
    job: JobId
    rank: int
    kind: str
    """`WEB` or `VNC`."""


@dataclass(frozen=True, slots=True)
class TerminalSource:
    """Where a shell in a rank is to be had, and the permission to open one there (D8)."""

    address: str
    port: int
    ticket: str = field(repr=False)
    job: JobId
    rank: int


class JobService(Protocol):
    """Raises `errors.Refused`; `errors.NotReady` until recovery is done or while the supervisor cannot be reached."""

    async def submit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        """Accept all or none (REC-17); on disk when this returns. The same job again gives the same answer (11.4)."""
        ...

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        """Unknown and final jobs are fine (11.4)."""
        ...

    async def extend(self, items: Sequence[tuple[JobRef, int]]) -> None:
        """Reference and milliseconds, in order (TIME-5 to TIME-8)."""
        ...

    async def suspend(self, refs: Sequence[JobRef]) -> None: ...

    async def unsuspend(self, refs: Sequence[JobRef]) -> None: ...

    async def verify(self, items: Sequence[tuple[JobRef, JobState]]) -> None:
        """Compare with what the Core believes and correct it by updates (REC-12 to REC-14)."""
        ...

    async def access_changed(self) -> None:
        """Somebody's permissions changed: look soon at who uses what (ACC-19)."""
        ...

    async def support(self) -> list[ProductSupport]: ...

    async def utilization(self, category: str) -> Utilization:
        """Raises `NotFound` for an unknown category."""
        ...

    async def view(self, ref: JobRef) -> JobView:
        """Raises `NotFound`."""
        ...

    async def watch(self, ref: JobRef, seen_version: int) -> JobView:
        """Like `view`, but waits (at most 20 s) until the version differs from `seen_version` or `told` changed."""
        ...

    async def jobs(self) -> list[JobView]:
        """Those that are not final, newest first."""
        ...

    async def log_sources(self, ref: JobRef) -> tuple[LogSource, ...]:
        """Fresh tickets for every machine that the job's newest placement used and that is reachable."""
        ...

    async def open_sessions(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        """One each, all or none (IS-6). Raises `NotFound`."""
        ...

    async def redeem_port(self, ticket: str) -> PortSource:
        """Of a web page or a desktop, as often as one likes (W8). Raises `NoSuchSession`."""
        ...

    async def redeem_terminal(self, session: str) -> TerminalSource:
        """Spend the id of a shell session (IS-12). Raises `NoSuchSession`."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """Plain JSON about parts, nodes, queues and outbox, for operators."""
        ...


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A job that waits for room."""

    id: JobId
    category: str
    place: int
    """1 for the next of its category."""
    owner: str
    product: str
    replicas: int
    since: Millis
    why: str
    """Place and reason in words, as its user is told them."""


class OperatorService(JobService, Protocol):
    """What the operator of the provider may ask and order beside it."""

    async def queue(self) -> Sequence[QueueEntry]:
        """Everybody who waits for room, each category in its order."""
        ...

    async def watched(self) -> Mapping[str, int]:
        """`ranks` that run, and how many ends are `watched` for on the machines: after a restart the second number
        grows to the first."""
        ...

    async def drain(self, host: str, message: str) -> int:
        """No new replicas on this machine; how many jobs there were told (SCH-15). Raises `NotFound`."""
        ...

    async def undrain(self, host: str) -> int:
        """It takes replicas again; how many jobs there were told. Raises `NotFound`."""
        ...

    async def leftovers(self, collect: bool) -> Sequence[Mapping[str, Any]]:
        """Tasks that belong to no job (ENV-59), as plain JSON. `collect`: destroy them at once; those that are gone."""
        ...


class LogFollower(Protocol):
    """Output of a job: what was written, then what is being written, until it is final and the Core knows (LOG-13)."""

    def follow(
        self, ref: JobRef, begin: Mapping[Place, int] | None = None, with_usage: bool = False
    ) -> AsyncIterator[FollowItem]:
        """An unknown job ends at once with nothing (11.4). Closing the iterator lets go of everything (LOG-12).

        `begin`: offsets of streams whose past the caller knows. `with_usage`: samples of usage come in between.
        """
        ...


class LogReader(Protocol):
    """Parts of what a job wrote and used, once."""

    async def read(self, ref: JobRef, place: Place, offset: int, limit: int) -> LogRange:
        """Raises `NotFound` for an unknown job or rank, `NotReady` while its machine does not answer."""
        ...

    async def usage(self, ref: JobRef) -> Mapping[int, Sequence[Sample]]:
        """By rank, oldest first; ranks whose machine does not answer are left out. Raises `NotFound`."""
        ...
