"""The engine's side of the provider API, as far as the API sees it: remembers what it was asked, answers as told."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ucloud_ray.control.errors import NoSuchSession, NotFound
from ucloud_ray.control.log_range import LogRange
from ucloud_ray.control.service import (
    BackendSupport,
    FollowItem,
    JobView,
    NewJob,
    Place,
    PortSource,
    ProductSupport,
    SessionOpened,
    SessionWanted,
    TerminalSource,
    Utilization,
)
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis, ProductId
from ucloud_ray.domain.job import Backend, JobState

PRODUCT = ProductId("cpu-1", "cpu", "example")


class RecordingService:
    """`calls` holds every call with its arguments, in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.failure: Exception | None = None
        """Raised by the next calls when set."""
        self.views: dict[str, JobView] = {}
        self.password: str | None = None
        """Of desktops."""
        self.ports: dict[str, PortSource] = {}
        """By the ticket of a session."""
        self.terminals: dict[str, TerminalSource] = {}
        """By the id of a session."""

    def _record(self, name: str, argument: Any) -> None:
        self.calls.append((name, argument))
        if self.failure is not None:
            raise self.failure

    @property
    def submitted(self) -> list[NewJob]:
        return [job for name, jobs in self.calls if name == "submit" for job in jobs]

    async def submit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        self._record("submit", list(jobs))
        return [JobUid(str(uuid.uuid4())) for _ in jobs]

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        self._record("terminate", list(refs))

    async def extend(self, items: Sequence[tuple[JobRef, int]]) -> None:
        self._record("extend", list(items))

    async def suspend(self, refs: Sequence[JobRef]) -> None:
        self._record("suspend", list(refs))

    async def unsuspend(self, refs: Sequence[JobRef]) -> None:
        self._record("unsuspend", list(refs))

    async def verify(self, items: Sequence[tuple[JobRef, JobState]]) -> None:
        self._record("verify", list(items))

    async def access_changed(self) -> None:
        self._record("access_changed", None)

    async def support(self) -> list[ProductSupport]:
        self._record("support", None)
        docker = BackendSupport(enabled=True, logs=True, time_extension=True, utilization=True)
        return [ProductSupport(PRODUCT, {Backend.DOCKER: docker}, "BUSY")]

    async def utilization(self, category: str) -> Utilization:
        self._record("utilization", category)
        if category != "cpu":
            raise NotFound("This provider has no such category")
        return Utilization(8.5, 32_000_000_000, 1.5, 4_000_000_000, 1, 2)

    async def open_sessions(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        self._record("open_sessions", list(wanted))
        for item in wanted:
            if item.ref.id not in self.views:
                raise NotFound("This provider does not know the job")
        return [SessionOpened(f"session-{number}", self.password) for number, _ in enumerate(wanted)]

    async def redeem_port(self, ticket: str) -> PortSource:
        self._record("redeem_port", ticket)
        if ticket not in self.ports:
            raise NoSuchSession("This session is not known any more.")
        return self.ports[ticket]

    async def redeem_terminal(self, session: str) -> TerminalSource:
        self._record("redeem_terminal", session)
        if session not in self.terminals:
            raise NoSuchSession("This terminal session is not known any more.")
        return self.terminals.pop(session)

    async def view(self, ref: JobRef) -> JobView:
        self._record("view", ref)
        if ref.id not in self.views:
            raise NotFound("This provider does not know the job")
        return self.views[ref.id]

    async def watch(self, ref: JobRef, seen_version: int) -> JobView:
        self._record("watch", (ref, seen_version))
        return self.views[ref.id]

    async def jobs(self, include_final: bool = False) -> list[JobView]:
        self._record("jobs", include_final)
        return list(self.views.values())

    async def status(self) -> Mapping[str, Any]:
        self._record("status", None)
        return {}


class ScriptedFollower:
    """Gives out the chunks; then ends, waits for ever (`wait`) or raises."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.chunks: list[FollowItem] = []
        self.asked: list[tuple[Mapping[Place, int] | None, bool]] = []
        """Offsets to begin from, and whether usage is wanted."""
        self.then: Exception | str = "end"
        self.followed: list[JobRef] = []
        self.closed: list[JobRef] = []
        """Of which jobs a caller let go, in any way."""

    async def follow(
        self, ref: JobRef, begin: Mapping[Place, int] | None = None, with_usage: bool = False
    ) -> AsyncIterator[FollowItem]:
        self.followed.append(ref)
        self.asked.append((begin, with_usage))
        try:
            for chunk in self.chunks:
                yield chunk
            if isinstance(self.then, Exception):
                raise self.then
            if self.then == "wait":
                await asyncio.Event().wait()
        finally:
            self.closed.append(ref)


class ScriptedReader:
    """Logs and samples of one job, `1`; writes down what was asked of them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.log = b""
        self.samples: dict[int, list[Sample]] = {}
        self.asked: list[tuple[JobRef, Place]] = []

    async def read(self, ref: JobRef, place: Place, offset: int, limit: int) -> LogRange:
        self._known(ref)
        self.asked.append((ref, place))
        start = offset if offset >= 0 else max(0, len(self.log) + offset)
        return LogRange(start, self.log[start : start + limit], len(self.log))

    async def usage(self, ref: JobRef) -> Mapping[int, Sequence[Sample]]:
        self._known(ref)
        return self.samples

    def _known(self, ref: JobRef) -> None:
        if ref.id != "1":
            raise NotFound("This provider does not know the job")


def a_view(id: str, state: JobState = JobState.RUNNING, replicas: int = 1) -> JobView:
    return JobView(
        uid=JobUid("uid"), id=JobId(id), created_at=Millis(1), version=1, state=state, phase="running", told=True,
        owner="alice", project=None, application="batch-app", product=PRODUCT, replicas=replicas, hosts=("h1",),
        status="", place_in_queue=None,
    )  # fmt: skip
