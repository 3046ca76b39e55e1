"""The job service as the front end sees it: every call goes to the supervisor actor (`control.service.JobService`).

A supervisor that is being restarted by Ray is asked again for a few seconds. All calls are safe to repeat (11.4) except
`extend`, which adds. It is sent once, to a supervisor that has just answered; if no answer comes all the same, nobody
knows whether it arrived, and the caller is told so in a way that makes the Core not repeat it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.cluster import calls
from ucloud_ray.control.errors import NotReady, OutcomeUnknown
from ucloud_ray.control.ports import ClusterUnavailable
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
from ucloud_ray.control.views import WATCH_SECONDS
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import JobState

CALL_SECONDS = 4.0
"""The Core gives up after 5 s (provider-api 1.2)."""

OPERATOR_SECONDS = 120.0
"""What an operator orders may take as long as the machines need for it."""

PAUSE_SECONDS = 0.2


class ActorService:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def submit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        uids: list[JobUid] = await self._ask("submit", jobs)
        return uids

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        await self._ask("terminate", refs)

    async def extend(self, items: Sequence[tuple[JobRef, int]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._ask("support")
        left = max(PAUSE_SECONDS, CALL_SECONDS - (loop.time() - began))
        try:
            await calls.answer(self._actor.extend.remote(items), timeout=left, what="extend")
        except ClusterUnavailable:
            raise OutcomeUnknown(
                "It is not known whether the time was added. See when the job ends before you try again."
            ) from None

    async def suspend(self, refs: Sequence[JobRef]) -> None:
        await self._ask("suspend", refs)

    async def unsuspend(self, refs: Sequence[JobRef]) -> None:
        await self._ask("unsuspend", refs)

    async def verify(self, items: Sequence[tuple[JobRef, JobState]]) -> None:
        await self._ask("verify", items)

    async def access_changed(self) -> None:
        await self._ask("access_changed")

    async def support(self) -> list[ProductSupport]:
        supports: list[ProductSupport] = await self._ask("support")
        return supports

    async def utilization(self, category: str) -> Utilization:
        utilization: Utilization = await self._ask("utilization", category)
        return utilization

    async def view(self, ref: JobRef) -> JobView:
        view: JobView = await self._ask("view", ref)
        return view

    async def watch(self, ref: JobRef, seen_version: int) -> JobView:
        view: JobView = await self._once("watch", WATCH_SECONDS + CALL_SECONDS, ref, seen_version)
        return view

    async def jobs(self) -> list[JobView]:
        views: list[JobView] = await self._ask("jobs")
        return views

    async def log_sources(self, ref: JobRef) -> tuple[LogSource, ...]:
        sources: tuple[LogSource, ...] = await self._ask("log_sources", ref)
        return sources

    async def open_sessions(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        sessions: list[SessionOpened] = await self._ask("open_sessions", wanted)
        return sessions

    async def redeem_port(self, ticket: str) -> PortSource:
        source: PortSource = await self._ask("redeem_port", ticket)
        return source

    async def redeem_terminal(self, session: str) -> TerminalSource:
        """Sent once: an id whose answer is lost is spent, and the page asks for another one."""
        source: TerminalSource = await self._once("redeem_terminal", CALL_SECONDS, session)
        return source

    async def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = await self._ask("status")
        return status

    async def queue(self) -> list[QueueEntry]:
        entries: list[QueueEntry] = await self._ask("queue")
        return entries

    async def watched(self) -> dict[str, int]:
        watched: dict[str, int] = await self._ask("watched")
        return watched

    async def drain(self, host: str, message: str) -> int:
        told: int = await self._once("drain", OPERATOR_SECONDS, host, message)
        return told

    async def undrain(self, host: str) -> int:
        told: int = await self._once("undrain", OPERATOR_SECONDS, host)
        return told

    async def leftovers(self, collect: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._once("leftovers", OPERATOR_SECONDS, collect)
        return found

    async def _ask(self, method: str, *arguments: Any) -> Any:
        """Until there is an answer or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CALL_SECONDS
        while True:
            try:
                return await self._once(method, max(0.1, deadline - loop.time()), *arguments)
            except NotReady:
                if loop.time() + PAUSE_SECONDS >= deadline:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _once(self, method: str, timeout: float, *arguments: Any) -> Any:
        try:
            return await calls.answer(getattr(self._actor, method).remote(*arguments), timeout=timeout, what=method)
        except ClusterUnavailable:
            raise NotReady("The provider does not answer at the moment. Try again in a few seconds.") from None
