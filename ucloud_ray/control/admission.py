"""Takes new jobs in: all of a request or none, each once, and nothing that could never run (REC-17, 11.4, O3)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.scheduler import could_ever_fit
from ucloud_ray.control.service import NewJob
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain import requests as rules
from ucloud_ray.domain.effects import Effect
from ucloud_ray.domain.events import Restarted, StopCause, StopRequested
from ucloud_ray.domain.ids import JobId, JobRef, JobUid
from ucloud_ray.domain.job import Job

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

    def in_hands(self, id: JobId) -> bool:
        """Whether a create for this id is being answered right now (REC-14)."""
        return id in self._locks

    async def admit(self, jobs: Sequence[NewJob]) -> list[JobUid]:
        """Our ids, in order. Raises `BadRequest`; then nothing of the request was taken."""
        async with AsyncExitStack() as stack:
            for job_id in sorted({job.id for job in jobs}):
                await stack.enter_async_context(self._hold(job_id))
            known = [await self._known(job) for job in jobs]
            for job, same in zip(jobs, known, strict=True):
                if same is None:
                    self._check(job)
            accepted = [self._accept(job) for job, same in zip(jobs, known, strict=True) if same is None]
            if accepted:
                await self._supervisor.engine.accept(accepted)
            for same in known:
                if same is not None:
                    await self._repeat(same)
            fresh = iter(job.uid for job, _, _ in accepted)
            return [next(fresh) if same is None else same.uid for same in known]

    async def restart(self, job: Job) -> None:
        """A new life of a job that ended naturally (LC-26)."""
        self._supervisor.engine.load(job)
        await self._supervisor.engine.settle(job.uid, Restarted())

    async def _known(self, new: NewJob) -> Job | None:
        """The job that a repeated `create` means. An older job under the same id is stopped and forgotten (O3)."""
        live = self._supervisor.engine.newest(new.id)
        job = live or await self._parts.store.find(JobRef(new.id, new.created_at))
        if job is not None and rules.same_job(job, new.created_at, new.spec):
            return job
        if live is not None:
            self._supervisor.engine.post(live.uid, StopRequested(StopCause.FORGOTTEN))
        return None

    async def _repeat(self, job: Job) -> None:
        if rules.is_restartable(job):
            await self.restart(job)
        elif job.final and (update := rules.restate(job)) is not None:
            row = await self._parts.store.enqueue(job.id, update, self._parts.clock.now())
            self._parts.updates.submit([row])

    def _check(self, new: NewJob) -> None:
        machine, ledger = new.spec.machine, self._supervisor.scheduler.ledger
        offers = self._parts.offers
        if offers.machine(machine.product) is None:
            raise BadRequest(f"The machine type {machine.product.id} is not offered by this provider.")
        if not offers.backend_support(machine.product, new.spec.backend, ledger).enabled:
            kind = new.spec.backend.value.lower().replace("_", " ")
            raise BadRequest(f"The machine type {machine.product.id} does not run {kind} applications at the moment.")
        if not could_ever_fit(ledger, machine, new.spec.replicas):
            raise BadRequest(
                f"The job needs {new.spec.replicas} x {machine.product.id}, more than this provider has. "
                "Ask for fewer nodes or a smaller machine."
            )
        self._parts.tasks.drives.home(new.spec.owner)
        for mount in new.spec.launch.mounts:
            self._parts.tasks.drives.resolve(mount.ucloud_path)

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
    async def _hold(self, id: JobId) -> AsyncIterator[None]:
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
