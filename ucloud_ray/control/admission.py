"""Takes new jobs in: all of a request or none, each once, and nothing that could never run (REC-17, 11.4, O3)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from ucloud_ray.control.addresses import needs_network
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.overload import Doorway
from ucloud_ray.control.scheduler import could_ever_fit
from ucloud_ray.control.service import NewJob
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain import requests as rules
from ucloud_ray.domain.effects import Effect
from ucloud_ray.domain.events import Restarted
from ucloud_ray.domain.ids import JobId, JobRef, JobUid
from ucloud_ray.domain.job import Job
from ucloud_ray.domain.restating import restate

log = structlog.get_logger(__name__)

NOT_STORED = "The provider cannot write anything down at the moment, so it takes no jobs. Try again later."

Accepted = tuple[Job, tuple[Effect, ...], Mapping[str, Any]]


@dataclass(slots=True)
class Held:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Admission:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._parts = supervisor.parts
        self._locks: dict[JobId, Held] = {}
        self._admitting: set[asyncio.Task[list[JobUid]]] = set()
        self._doorway = Doorway(self._parts.limits)

    def in_hands(self, id: JobId) -> bool:
        """Whether a create for this id is being answered right now (REC-14)."""
        return id in self._locks

    async def answered(self, id: JobId) -> None:
        """Return once no create for this id is being answered (REC-18)."""
        if id in self._locks:
            async with self.hold(id):
                return

    async def admit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        """Our ids, in order. Raises `Refused`; then nothing of the request was taken.

        A caller that gives up does not stop it in the middle: a job that is on disk must also be run.
        """
        work = asyncio.create_task(self._admit(jobs), name="admit")
        self._admitting.add(work)
        work.add_done_callback(self._admitted)
        return await asyncio.shield(work)

    def _admitted(self, work: asyncio.Task[list[JobUid]]) -> None:
        self._admitting.discard(work)
        if not work.cancelled():
            work.exception()  # told to the caller, unless it left

    async def _admit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        _check_distinct(jobs)
        async with AsyncExitStack() as stack:
            stack.enter_context(self._doorway.entering(len(jobs)))
            for job_id in sorted(job.id for job in jobs):
                await stack.enter_async_context(self.hold(job_id))
            known = [await self._known(job) for job in jobs]
            restarting = [job.spec for job in known if job is not None and rules.is_restartable(job)]
            await self._supervisor.access.admit(restarting)  # all or none: before anything is taken
            fresh = iter(await self._take([job for job, same in zip(jobs, known, strict=True) if same is None]))
            for same in known:
                if same is not None:
                    await self._repeat(same)
            return [next(fresh) if same is None else same.uid for same in known]

    async def _take(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        """All or none. What is replaced is stopped afterwards: a request that is refused must not end anything."""
        if not jobs:
            return []
        self._doorway.check(self._supervisor.engine.live_jobs, self._parts.updates.backlog()[0])
        for job in jobs:
            self._check(job)
        await self._supervisor.access.admit([job.spec for job in jobs])
        for job in jobs:
            await self._supervisor.credits.require(job.id, job.spec)
        replaced = [live.uid for job in jobs if (live := self._supervisor.engine.newest(job.id)) is not None]
        accepted = [self._accept(job) for job in jobs]
        await self._store(accepted)
        for uid in replaced:
            self._supervisor.forget(uid)
        return [job.uid for job, _, _ in accepted]

    async def _store(self, accepted: Sequence[Accepted]) -> None:
        try:
            await self._supervisor.engine.accept(accepted)
        except Exception as problem:
            # The port binds us to no store, only to its word that nothing was written and the same call may work later.
            if not getattr(problem, "retryable", False):
                raise
            log.warning("jobs are refused: the store does not take them", problem=str(problem))
            raise NotReady(NOT_STORED) from None

    async def restart(self, job: Job) -> None:
        """A new life of a job that ended naturally (LC-26), unless it began since `job` was read, or the id is another
        job's now (O3)."""
        async with self.hold(job.id):
            now = self._supervisor.engine.newest(job.id) or await self._parts.store.find(JobRef(job.id, None))
            if now == job:
                await self._begin_again(job)

    async def _begin_again(self, job: Job) -> None:
        """The caller holds its id."""
        self._supervisor.engine.load(job)
        await self._supervisor.engine.settle(job.uid, Restarted())

    async def _known(self, new: NewJob) -> Job | None:
        """The job that a repeated `create` means, if it is one. Another job of the same id is an older one (O3)."""
        live = self._supervisor.engine.newest(new.id)
        job = live or await self._parts.store.find(JobRef(new.id, new.created_at))
        if job is None or rules.is_forgotten(job):  # one that was given up is not run by answering for it
            return None
        return job if rules.same_job(job, new.created_at, new.spec) else None

    async def _repeat(self, job: Job) -> None:
        if rules.is_restartable(job):
            await self._begin_again(job)
        elif job.final:
            await self.repeat_end(job)

    async def repeat_end(self, job: Job) -> None:
        """Tell the end of a job again, unless that is on its way (11.4, REC-13). The caller holds its id."""
        update = restate(job)
        if update is not None and not self._parts.updates.waits(job.uid):
            row = await self._parts.store.enqueue(job.id, update, self._parts.clock.now(), job.uid)
            self._parts.updates.submit([row])

    def _check(self, new: NewJob) -> None:
        machine, ledger = new.spec.machine, self._supervisor.scheduler.ledger
        offers = self._parts.offers
        if offers.machine(machine.product) is None:
            raise BadRequest(f"The machine type {machine.product.id} is not offered by this provider.")
        support = offers.backend_support(machine.product, new.spec.backend, ledger)
        kind = new.spec.backend.value.lower().replace("_", " ")
        if not support.enabled:
            raise BadRequest(f"The machine type {machine.product.id} does not run {kind} applications at the moment.")
        if needs_network(new.spec) and not offers.has_network(machine.product, ledger):
            raise BadRequest("The machines have no network for containers at the moment. Ask for one node alone.")
        if new.spec.launch.peers and not support.peers:
            raise BadRequest(f"The machine type {machine.product.id} cannot connect {kind} jobs with each other.")
        if not could_ever_fit(ledger, machine, new.spec.replicas, new.spec.backend):
            raise BadRequest(
                f"The job needs {new.spec.replicas} x {machine.product.id}, more than this provider has. "
                "Ask for fewer nodes or a smaller machine."
            )
        if (refusal := rules.refuse_allocation(new.spec, offers.longest(machine.product))) is not None:
            raise BadRequest(refusal)
        self._parts.tasks.check(new.spec)

    def _accept(self, new: NewJob) -> Accepted:
        job, effects = lifecycle.accept(
            uid=JobUid(str(uuid.uuid4())),
            id=new.id,
            created_at=new.created_at,
            spec=new.spec,
            rules=self._parts.rules,
            now=self._parts.clock.now(),
        )
        return job, effects, new.document

    @asynccontextmanager
    async def hold(self, id: JobId) -> AsyncIterator[None]:
        """One lock per id while somebody holds or awaits it, and none afterwards."""
        held = self._locks.setdefault(id, Held())
        held.users += 1
        try:
            async with held.lock:
                yield
        finally:
            held.users -= 1
            if held.users == 0:
                del self._locks[id]


def _check_distinct(jobs: Sequence[NewJob]) -> None:
    if len({job.id for job in jobs}) < len(jobs):
        raise BadRequest("The request names a job twice. Send each job once.")
