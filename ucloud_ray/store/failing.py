"""A store that fails on command, for tests of what is built on a store. Passes everything else to the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.control.ports import Change, ChargeRow, JobStore, OutboxRow
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis
from ucloud_ray.domain.job import Job
from ucloud_ray.store.errors import StoreError, StoreUnavailable


class FailingStore:
    """`fail("commit", times=2)`: the next two commits raise and write nothing, as when the disk is full."""

    def __init__(self, real: JobStore) -> None:
        self._real = real
        self._failures: dict[str, tuple[StoreError, int | None]] = {}

    def fail(self, method: str, error: StoreError | None = None, times: int | None = None) -> None:
        """`times` None: until `mend`."""
        self._failures[method] = (error or StoreUnavailable("The disk is full."), times)

    def mend(self) -> None:
        self._failures.clear()

    async def commit(self, changes: Sequence[Change]) -> list[OutboxRow]:
        self._maybe_fail("commit")
        return await self._real.commit(changes)

    async def enqueue(self, job_id: JobId, update: Announce, now: Millis, uid: JobUid | None = None) -> OutboxRow:
        self._maybe_fail("enqueue")
        return await self._real.enqueue(job_id, update, now, uid)

    async def acknowledge(self, seqs: Sequence[int]) -> None:
        self._maybe_fail("acknowledge")
        await self._real.acknowledge(seqs)

    async def charges(self, limit: int) -> list[ChargeRow]:
        self._maybe_fail("charges")
        return await self._real.charges(limit)

    async def settle_charges(self, seqs: Sequence[int]) -> None:
        self._maybe_fail("settle_charges")
        await self._real.settle_charges(seqs)

    async def waiting_charges(self) -> tuple[int, Millis | None]:
        self._maybe_fail("waiting_charges")
        return await self._real.waiting_charges()

    async def active_jobs(self) -> list[Job]:
        self._maybe_fail("active_jobs")
        return await self._real.active_jobs()

    async def pending_updates(self) -> list[OutboxRow]:
        self._maybe_fail("pending_updates")
        return await self._real.pending_updates()

    async def find(self, ref: JobRef) -> Job | None:
        self._maybe_fail("find")
        return await self._real.find(ref)

    async def get(self, uid: JobUid) -> Job | None:
        self._maybe_fail("get")
        return await self._real.get(uid)

    async def document(self, uid: JobUid) -> Mapping[str, Any] | None:
        self._maybe_fail("document")
        return await self._real.document(uid)

    async def secret(self, name: str) -> bytes:
        self._maybe_fail("secret")
        return await self._real.secret(name)

    async def machine_number(self, host: str) -> int:
        self._maybe_fail("machine_number")
        return await self._real.machine_number(host)

    async def machines(self) -> Sequence[str]:
        self._maybe_fail("machines")
        return await self._real.machines()

    async def drains(self) -> Mapping[str, str]:
        self._maybe_fail("drains")
        return await self._real.drains()

    async def set_drain(self, host: str, message: str | None) -> None:
        self._maybe_fail("set_drain")
        await self._real.set_drain(host, message)

    async def close(self) -> None:
        await self._real.close()

    def _maybe_fail(self, method: str) -> None:
        if method not in self._failures:
            return
        error, times = self._failures[method]
        if times == 0:
            return
        if times is not None:
            self._failures[method] = (error, times - 1)
        raise type(error)(*error.args)
