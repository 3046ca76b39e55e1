"""The JobSupervisor actor: a shell around `control.supervisor`, the only writer of the store (D2, D11).

Detached, restarted by Ray without limit; its constructor means "recover". Everything it does is in plain classes that a
test can hold.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from ucloud_ray.cluster.factories import BuildSupervisor, Built, ClusterSettings
from ucloud_ray.cluster.ray_cluster import RayCluster
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.operation import Operation
from ucloud_ray.control.service import (
    JobView,
    LogSource,
    NewJob,
    PortSource,
    ProductSupport,
    QueueEntry,
    SessionOpened,
    SessionWanted,
    TerminalSource,
    Utilization,
)
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import JobState

log = structlog.get_logger(__name__)

STARTING = "The provider is starting. Try again in a few seconds."


class JobSupervisor:
    async def __init__(  # type: ignore[misc]  # Ray awaits the constructor of an asyncio actor
        self, build: BuildSupervisor, settings: ClusterSettings, fingerprint: str
    ) -> None:
        self._build = build
        self._settings = settings
        self._fingerprint = fingerprint
        self._built: Built | None = None
        self._problem = ""
        self._starting = asyncio.create_task(self._start(), name="start")

    async def _start(self) -> None:
        """Recover beside the constructor, so that callers get an answer meanwhile."""
        try:
            built = await self._build(RayCluster(self._settings))
            await built.supervisor.start()
            self._built = built
        except Exception as problem:
            log.exception("the supervisor cannot start")
            self._problem = str(problem) or repr(problem)

    async def about(self) -> tuple[str, str, int]:
        """Fingerprint of the configuration, why it cannot start (or nothing), and its process id."""
        return self._fingerprint, self._problem, os.getpid()

    async def leave(self) -> None:
        """Finish what is being written; the actor is about to be ended. Workloads go on."""
        if self._built is not None:
            await self._built.supervisor.close()
            await self._built.close()

    @property
    def _requests(self) -> Any:
        if self._built is None:
            raise NotReady(self._why_not())
        return self._built.requests

    def _why_not(self) -> str:
        return f"The provider cannot start: {self._problem}" if self._problem else STARTING

    # The job service, one line each: see `control.service.JobService`.

    async def submit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        uids: list[JobUid] = await self._requests.submit(jobs)
        return uids

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        await self._requests.terminate(refs)

    async def extend(self, items: Sequence[tuple[JobRef, int]]) -> None:
        await self._requests.extend(items)

    async def suspend(self, refs: Sequence[JobRef]) -> None:
        await self._requests.suspend(refs)

    async def unsuspend(self, refs: Sequence[JobRef]) -> None:
        await self._requests.unsuspend(refs)

    async def verify(self, items: Sequence[tuple[JobRef, JobState]]) -> None:
        await self._requests.verify(items)

    async def access_changed(self) -> None:
        await self._requests.access_changed()

    async def support(self) -> list[ProductSupport]:
        supports: list[ProductSupport] = await self._requests.support()
        return supports

    async def utilization(self, category: str) -> Utilization:
        utilization: Utilization = await self._requests.utilization(category)
        return utilization

    async def view(self, ref: JobRef) -> JobView:
        view: JobView = await self._requests.view(ref)
        return view

    async def watch(self, ref: JobRef, seen_version: int) -> JobView:
        view: JobView = await self._requests.watch(ref, seen_version)
        return view

    async def jobs(self) -> list[JobView]:
        views: list[JobView] = await self._requests.jobs()
        return views

    async def log_sources(self, ref: JobRef) -> tuple[LogSource, ...]:
        sources: tuple[LogSource, ...] = await self._requests.log_sources(ref)
        return sources

    async def open_sessions(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        sessions: list[SessionOpened] = await self._requests.open_sessions(wanted)
        return sessions

    async def redeem_port(self, ticket: str) -> PortSource:
        source: PortSource = await self._requests.redeem_port(ticket)
        return source

    async def redeem_terminal(self, session: str) -> TerminalSource:
        source: TerminalSource = await self._requests.redeem_terminal(session)
        return source

    async def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = await self._requests.status()
        return status

    # What the operator may order: see `control.service.OperatorService`.

    async def queue(self) -> list[QueueEntry]:
        return await self._operation.queue()

    async def watched(self) -> dict[str, int]:
        return await self._operation.watched()

    async def drain(self, host: str, message: str) -> int:
        return await self._operation.drain(host, message)

    async def undrain(self, host: str) -> int:
        return await self._operation.undrain(host)

    async def leftovers(self, collect: bool) -> list[dict[str, Any]]:
        return await self._operation.leftovers(collect)

    @property
    def _operation(self) -> Operation:
        """Raises `NotReady`."""
        if self._built is None:
            raise NotReady(self._why_not())
        return Operation(self._built.supervisor)
