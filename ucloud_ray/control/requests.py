"""Answers what the outside may ask (`service.JobService`): check, then post an event, then wait until it is on disk.

The rules of what is refused are in `domain.requests`; this file finds the job and words the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.control import tickets
from ucloud_ray.control.admission import Admission
from ucloud_ray.control.clock import wall_clock
from ucloud_ray.control.errors import BadRequest, Busy, NotFound, NotReady
from ucloud_ray.control.service import (
    JobView,
    LogSource,
    NewJob,
    PortSource,
    ProductSupport,
    SessionOpened,
    SessionWanted,
    TerminalSource,
    Utilization,
)
from ucloud_ray.control.sessions import Sessions
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.control.verification import Verification
from ucloud_ray.control.views import WATCH_SECONDS, view_of
from ucloud_ray.control.waiting_news import Reasons
from ucloud_ray.domain import requests as rules
from ucloud_ray.domain import texts
from ucloud_ray.domain.events import (
    Doubted,
    Event,
    StopCause,
    StopRequested,
    SuspendRequested,
    TimeExtended,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import Job, JobState

CLOCK_TOLERANCE = 2_000
"""Milliseconds between our clock and the machine's that need no word (TIME-10)."""


class Requests:
    """Implements `service.JobService` for one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._parts = supervisor.parts
        self._admission = Admission(supervisor)
        self.verification = Verification(supervisor, self._admission)
        self._sessions = Sessions(supervisor, self._job)

    # --------------------------------------------------------------------------------------------------- orders

    async def submit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        self._check_ready()
        return await self._admission.admit(jobs)

    async def terminate(self, refs: Sequence[JobRef]) -> None:
        self._check_ready()
        for ref in refs:
            await self._admission.answered(ref.id)
        self._require_room(refs)
        stopping = [self._live(ref) for ref in refs]
        stop = StopRequested(StopCause.CANCELLED)
        await asyncio.gather(*(self._supervisor.engine.settle(job.uid, stop) for job in stopping if job is not None))

    async def extend(self, items: Sequence[tuple[JobRef, int]]) -> None:
        self._check_ready()
        self._require_room([ref for ref, _ in items])
        for ref, by in items:
            job = await self._job(ref)
            after = await self._order(job, self._refuse_extension(job, by), TimeExtended(by))
            if after is None or after.times.allocation == job.times.allocation:  # perhaps its time was over just now
                after = after or await self._job(ref)
                await self._refuse(after, self._refuse_extension(after, by))

    async def suspend(self, refs: Sequence[JobRef]) -> None:
        self._check_ready()
        self._require_room(refs)
        for ref in refs:
            job = await self._job(ref)
            await self._order(job, rules.refuse_suspension(job), SuspendRequested())

    async def unsuspend(self, refs: Sequence[JobRef]) -> None:
        self._check_ready()
        self._require_room(refs)
        for ref in refs:
            job = await self._job(ref)
            refusal = rules.refuse_unsuspension(job)
            if refusal is None:
                await self._supervisor.credits.require(job.id, job.spec)  # SUS-7
                await self._supervisor.access.admit([job.spec])
            if rules.is_restartable(job):
                await self._admission.restart(job)
            else:
                await self._order(job, refusal, UnsuspendRequested())

    async def verify(self, items: Sequence[tuple[JobRef, JobState]]) -> None:
        self._check_ready()
        for ref, believed in items:
            await self.verification.compare(ref, believed)

    async def access_changed(self) -> None:
        self._supervisor.access.changed()

    # ------------------------------------------------------------------------------------------------- sessions

    async def open_sessions(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        self._check_ready()
        return await self._sessions.open(wanted)

    async def redeem_port(self, ticket: str) -> PortSource:
        self._check_ready()
        return self._sessions.redeem_port(ticket)

    async def redeem_terminal(self, session: str) -> TerminalSource:
        self._check_ready()
        return self._sessions.redeem_terminal(session)

    # -------------------------------------------------------------------------------------------------- reading

    async def support(self) -> list[ProductSupport]:
        return self._parts.offers.support(self._supervisor.scheduler.ledger)

    async def utilization(self, category: str) -> Utilization:
        if category not in self._parts.offers.categories:
            raise NotFound(f"This provider has no product category called {texts.one_line(category)!r}.")
        if not self._parts.offers.tells_utilization(category):
            raise BadRequest(f"The use of the category {texts.one_line(category)!r} is not told.")
        ledger, jobs = self._supervisor.scheduler.ledger, self._supervisor.engine.jobs()
        return self._parts.offers.utilization(category, ledger, jobs)

    async def view(self, ref: JobRef) -> JobView:
        self._check_ready()
        return self._view(await self._job(ref))

    async def watch(self, ref: JobRef, seen_version: int) -> JobView:
        view = await self.view(ref)
        if view.version != seen_version or (view.final and view.told):
            return view
        await self._something_new(view)
        return await self.view(ref)

    async def jobs(self) -> list[JobView]:
        self._check_ready()
        newest_first = sorted(self._supervisor.engine.jobs(), key=lambda job: job.created_at, reverse=True)
        reasons: Reasons = {}
        return [self._view(job, reasons) for job in newest_first]

    async def log_sources(self, ref: JobRef) -> tuple[LogSource, ...]:
        job = await self._job(ref)
        ranks_of: dict[str, list[int]] = {}
        for rank in job.ranks:
            ranks_of.setdefault(rank.host, []).append(rank.rank)
        relays = {node.host: node.relay for node in self._supervisor.scheduler.ledger.nodes}
        return tuple(
            LogSource(host, *relay, tuple(ranks), self._ticket(job), self._parts.log_replay_bytes)
            for host, ranks in ranks_of.items()
            if (relay := relays.get(host)) is not None
        )

    async def status(self) -> Mapping[str, Any]:
        rows, oldest = self._parts.updates.backlog()
        charges, charged_from = await self._parts.store.waiting_charges()
        scheduler = self._supervisor.scheduler
        return {
            "ready": self._supervisor.ready.is_set(),
            "activeJobs": self._supervisor.engine.live_jobs,
            "queues": scheduler.waiting(),
            "outbox": {"waiting": rows, "oldestAt": oldest},
            "charges": {"waiting": charges, "oldestAt": charged_from},
            "problems": [
                f"the product {name} fits no machine, even an idle one: add capacity, or take it off the list"
                for name in self._supervisor.unsaleable()
            ]
            + _clock_problems(self._parts.clock.now() - wall_clock()),
            "nodes": [
                {
                    "host": node.host,
                    "address": node.address,
                    "alive": node.alive,
                    "backends": sorted(node.backends),
                    "problems": dict(node.problems),
                    "maintenance": scheduler.ledger.drained.get(node.host),
                    "gpus": list(node.gpus),
                    "freeGpus": scheduler.ledger.free_devices(node.host),
                    "capacity": {category: list(size) for category, size in node.capacity.items()},
                }
                for node in scheduler.ledger.nodes
            ],
        }

    # ------------------------------------------------------------------------------------------------- internal

    def _check_ready(self) -> None:
        if not self._supervisor.ready.is_set():
            raise NotReady("The provider is starting. Try again in a few seconds.")

    def _require_room(self, refs: Sequence[JobRef]) -> None:
        """For all orders of a request, before any of them is given. While the store is away they would gather, each
        with somebody who has long given up. Raises `Busy`."""
        live = [job.uid for ref in refs if (job := self._live(ref)) is not None]
        if any(self._supervisor.engine.backlog(uid) >= self._parts.limits.inbox for uid in live):
            raise Busy("The provider cannot write anything down at the moment. Try again in a few seconds.")

    def _live(self, ref: JobRef) -> Job | None:
        """The live job that is meant; one of another creation time is not it (O3)."""
        job = self._supervisor.engine.newest(ref.id)
        return job if job is not None and ref.created_at in (None, job.created_at) else None

    async def _job(self, ref: JobRef) -> Job:
        job = self._live(ref) or await self._parts.store.find(ref)
        if job is None:
            raise NotFound(f"This provider does not know the job {texts.one_line(ref.id)!r}.")
        return job

    def _refuse_extension(self, job: Job, by: int) -> str | None:
        """TIME-7."""
        if not self._parts.offers.sold(job.spec.machine.product, job.spec.backend).time_extension:
            return "The time of jobs on this machine type cannot be extended."
        return rules.refuse_extension(job, by, self._parts.offers.longest(job.spec.machine.product))

    async def _order(self, job: Job, refusal: str | None, event: Event) -> Job | None:
        """The job after it; None if it was over before. Raises `BadRequest`."""
        await self._refuse(job, refusal)
        return await self._supervisor.engine.settle(job.uid, event)

    async def _refuse(self, job: Job, refusal: str | None) -> None:
        if refusal is not None:
            await self._say_again(job)
            raise BadRequest(refusal)

    async def _say_again(self, job: Job) -> None:
        """A page keeps what it hoped for until it hears the state again (W12). A job that is over has said its last
        word (LC-1)."""
        if not self._parts.updates.waits(job.uid):
            await self._supervisor.engine.settle(job.uid, Doubted(even_if_same=True))

    def _view(self, job: Job, reasons: Reasons | None = None) -> JobView:
        told = not self._parts.updates.waits(job.uid)
        scheduler = self._supervisor.scheduler
        place, why = scheduler.place_in_queue(job.uid), scheduler.why(job.uid, reasons)
        return view_of(job, self._supervisor.versions.number(job.uid), told, place, why)

    async def _something_new(self, view: JobView) -> None:
        if not view.final:
            await self._supervisor.versions.changed(view.uid, view.version)
            return
        try:
            await asyncio.wait_for(self._parts.updates.told(view.uid), WATCH_SECONDS)
        except TimeoutError:
            return

    def _ticket(self, job: Job) -> str:
        return tickets.make(self._parts.relay_key, "log", job.uid)


def _clock_problems(ahead: int) -> list[str]:
    """`ahead`: milliseconds by which what jobs are measured by is ahead of the machine's clock (TIME-13)."""
    if abs(ahead) < CLOCK_TOLERANCE:
        return []
    where = f"{texts.duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the machine's clock"
    return [
        f"times of jobs are counted {where}, which was set while jobs lived: their time is not touched; "
        "a start without unfinished jobs reads the clock anew"
    ]
