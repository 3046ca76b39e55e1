"""Maintenance of machines (SCH-12, SCH-15): no new replicas there, those that run go on, their users are told.

Called for the operator. What is drained is in the store, so that a restart of ours does not end a maintenance.
"""

from __future__ import annotations

import asyncio

from ucloud_ray.control.engine import Engine
from ucloud_ray.control.errors import NotFound
from ucloud_ray.control.ports import JobStore
from ucloud_ray.control.scheduler import Scheduler
from ucloud_ray.domain import texts
from ucloud_ray.domain.events import Noted
from ucloud_ray.domain.job import Job


class Drains:
    def __init__(self, store: JobStore, scheduler: Scheduler, engine: Engine) -> None:
        self._store = store
        self._scheduler = scheduler
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> None:
        """At the start, before anything is placed."""
        self._scheduler.ledger.drained = dict(await self._store.drains())

    async def drain(self, host: str, message: str) -> int:
        """How many jobs were told. Again with the same message changes nothing and tells nobody.

        Raises `NotFound`, and what the store raises: then the machine takes replicas as before.
        """
        async with self._one_at_a_time:
            if self._drained.get(host) == message:
                return 0
            self._check_known(host)
            before = dict(self._drained)
            self._scheduler.ledger.drained = {**before, host: message}  # from now on nobody new is put there
            try:
                await self._store.set_drain(host, message)
            except Exception:
                self._scheduler.ledger.drained = before
                raise
            return await self._tell(host, texts.maintenance(host, message))

    async def undrain(self, host: str) -> int:
        """How many jobs were told. A machine that is not drained is left as it is."""
        async with self._one_at_a_time:
            if host not in self._drained:
                self._check_known(host)
                return 0
            await self._store.set_drain(host, None)
            self._scheduler.ledger.drained = {name: why for name, why in self._drained.items() if name != host}
            self._scheduler.look_again()
            return await self._tell(host, texts.maintenance_over(host))

    @property
    def _drained(self) -> dict[str, str]:
        return self._scheduler.ledger.drained

    def _check_known(self, host: str) -> None:
        """A machine that is away may be drained as long as we remember it."""
        if not self._scheduler.ledger.knows(host):
            raise NotFound(f"There is no machine called {texts.one_line(host)!r}. `ucloud-ray nodes` lists them.")

    async def _tell(self, host: str, text: str) -> int:
        """Returns once it is on disk that each of them is to be told."""
        there = [job for job in self._engine.jobs() if _runs_on(job, host)]
        await asyncio.gather(*(self._engine.settle(job.uid, Noted(text, job.incarnation)) for job in there))
        return len(there)


def _runs_on(job: Job, host: str) -> bool:
    return any(rank.host == host and not rank.over for rank in job.ranks)
