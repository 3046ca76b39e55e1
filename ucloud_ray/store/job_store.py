"""`control.ports.JobStore` in SQL. Called by the engine of the supervisor, the only writer (D2)."""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from ucloud_ray.control.clock import Anchor
from ucloud_ray.control.ports import Change, ChargeRow, Clock, OutboxRow
from ucloud_ray.db import Database
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis
from ucloud_ray.domain.job import Job
from ucloud_ray.store import charges, outbox
from ucloud_ray.store.rows import document_of, document_text, job_of, job_values
from ucloud_ray.store.tables import clock, drains, jobs, machines, secrets

_SECRET_BYTES = 32

# Statements of the hot path are made once: making and hashing one costs more than the database needs to run it.
_REWRITTEN = ("final", "phase", "state", "record", "updated_at")
"""Columns that change after the first change of a job."""
_REWRITE = (
    update(jobs)
    .where(jobs.c.uid == bindparam("of"))
    .values({name: bindparam(name) for name in _REWRITTEN})
    .returning(jobs.c.current)
)
_REPLACE = update(jobs).where((jobs.c.job_id == bindparam("of")) & jobs.c.current).values(current=False)
_INSERT = insert(jobs)
_NEWEST = select(jobs.c.record).where(jobs.c.job_id == bindparam("of")).order_by(jobs.c.number.desc()).limit(1)
_NEWEST_CURRENT = _NEWEST.where(jobs.c.current)
_NEWEST_EXACT = _NEWEST.where(jobs.c.created_at == bindparam("at"))


class SqlJobStore:
    """Made by `open_store`. Errors: `store.errors`; after `StoreUnavailable` nothing was written."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    async def commit(self, changes: Sequence[Change]) -> list[OutboxRow]:
        """See the port. Updates of a job whose id went to another one are not kept: they would reach that one (O3)."""
        now = self._clock.now()
        prepared = [(change, _values(change, now)) for change in changes]
        return await self._db.write(
            lambda connection: [row for item in prepared for row in _write_change(connection, *item, now)]
        )

    async def enqueue(self, job_id: JobId, update: Announce, now: Millis, uid: JobUid | None = None) -> OutboxRow:
        rows = await self._db.write(lambda connection: outbox.append(connection, uid, job_id, [update], now))
        return rows[0]

    async def acknowledge(self, seqs: Sequence[int]) -> None:
        if seqs:
            await self._db.write(lambda connection: outbox.acknowledge(connection, seqs))

    async def charges(self, limit: int) -> list[ChargeRow]:
        return await self._db.read(lambda connection: charges.waiting(connection, limit))

    async def settle_charges(self, seqs: Sequence[int]) -> None:
        if seqs:
            await self._db.write(lambda connection: charges.settle(connection, seqs))

    async def waiting_charges(self) -> tuple[int, Millis | None]:
        return await self._db.read(charges.backlog)

    async def active_jobs(self) -> list[Job]:
        return await self._db.read(_active_jobs)

    async def recent_jobs(self, limit: int) -> list[Job]:
        """Active and final ones, newest first."""
        return await self._db.read(lambda connection: _recent_jobs(connection, limit))

    async def pending_updates(self) -> list[OutboxRow]:
        return await self._db.read(outbox.pending)

    async def find(self, ref: JobRef) -> Job | None:
        return await self._db.read(lambda connection: _find(connection, ref))

    async def get(self, uid: JobUid) -> Job | None:
        return await self._db.read(lambda connection: _get(connection, uid))

    async def document(self, uid: JobUid) -> Mapping[str, Any] | None:
        query = select(jobs.c.document).where(jobs.c.uid == uid)
        return document_of(await self._db.read(lambda connection: connection.execute(query).scalar()))

    async def secret(self, name: str) -> bytes:
        return await self._db.write(lambda connection: _secret(connection, name))

    async def machine_number(self, host: str) -> int:
        return await self._db.write(lambda connection: _machine_number(connection, host))

    async def machines(self) -> Sequence[str]:
        query = select(machines.c.host).order_by(machines.c.number)
        return await self._db.read(lambda connection: list(connection.execute(query).scalars()))

    async def drains(self) -> Mapping[str, str]:
        query = select(drains.c.host, drains.c.message)
        return await self._db.read(lambda connection: {row.host: row.message for row in connection.execute(query)})

    async def set_drain(self, host: str, message: str | None) -> None:
        await self._db.write(lambda connection: _set_drain(connection, host, message))

    async def anchor(self, fresh: Anchor) -> Anchor:
        """What the clock counts from, kept by this call: as before while jobs are measured by it and the machine was
        not started again, else `fresh`, but never back behind what such jobs have seen (TIME-11, TIME-13)."""
        return await self._db.write(lambda connection: _anchor(connection, fresh))

    async def close(self) -> None:
        await self._db.close()


def _values(change: Change, now: Millis) -> dict[str, Any]:
    values = job_values(change.job, now)
    if change.document is not None:
        values["document"] = document_text(change.document)
    return values


def _write_change(connection: Connection, change: Change, values: Mapping[str, Any], now: Millis) -> list[OutboxRow]:
    job = change.job
    rewritten = {name: values[name] for name in _REWRITTEN}
    known = connection.execute(_REWRITE, {"of": job.uid, **rewritten}).scalar()
    if known is None:
        _insert(connection, values)
    if known is False:
        return []
    charges.append(connection, job, change.charges, now)
    return outbox.append(connection, job.uid, job.id, change.updates, now)


def _insert(connection: Connection, values: Mapping[str, Any]) -> None:
    if connection.execute(_REPLACE, {"of": values["job_id"]}).rowcount:
        outbox.drop_for_job_id(connection, values["job_id"])
        charges.drop_for_job_id(connection, values["job_id"])
    connection.execute(_INSERT, {"document": None, **values, "current": True})


def _active_jobs(connection: Connection) -> list[Job]:
    query = select(jobs.c.record).where(~jobs.c.final).order_by(jobs.c.number)
    return [job_of(record) for record in connection.execute(query).scalars()]


def _recent_jobs(connection: Connection, limit: int) -> list[Job]:
    query = select(jobs.c.record).order_by(jobs.c.number.desc()).limit(limit)
    return [job_of(record) for record in connection.execute(query).scalars()]


def _find(connection: Connection, ref: JobRef) -> Job | None:
    # The same id and time may exist twice, with another specification; the newest is meant (O3).
    if ref.created_at is None:
        return _job_or_none(connection.execute(_NEWEST_CURRENT, {"of": ref.id}).scalar())
    return _job_or_none(connection.execute(_NEWEST_EXACT, {"of": ref.id, "at": ref.created_at}).scalar())


def _get(connection: Connection, uid: JobUid) -> Job | None:
    return _job_or_none(connection.execute(select(jobs.c.record).where(jobs.c.uid == uid)).scalar())


def _job_or_none(record: str | None) -> Job | None:
    return None if record is None else job_of(record)


def _secret(connection: Connection, name: str) -> bytes:
    query = select(secrets.c.value).where(secrets.c.name == name)
    value: bytes | None = connection.execute(query).scalar()
    if value is None:
        value = random.token_bytes(_SECRET_BYTES)
        connection.execute(insert(secrets).values(name=name, value=value))
    return value


def _set_drain(connection: Connection, host: str, message: str | None) -> None:
    connection.execute(delete(drains).where(drains.c.host == host))
    if message is not None:
        connection.execute(insert(drains).values(host=host, message=message))


def _machine_number(connection: Connection, host: str) -> int:
    number: int | None = connection.execute(select(machines.c.number).where(machines.c.host == host)).scalar()
    if number is None:
        last: int | None = connection.execute(select(func.max(machines.c.number))).scalar()
        number = 0 if last is None else last + 1
        connection.execute(insert(machines).values(host=host, number=number))
    return number


def _anchor(connection: Connection, fresh: Anchor) -> Anchor:
    row = connection.execute(select(clock.c.boot, clock.c.steady, clock.c.wall)).first()
    measured = connection.execute(select(jobs.c.number).where(~jobs.c.final).limit(1)).first() is not None
    known = None if row is None else Anchor(*row)
    if measured and known is not None and known.boot == fresh.boot:
        return known
    anchor = fresh.not_before(_latest(connection)) if measured else fresh
    connection.execute(delete(clock))
    connection.execute(insert(clock).values(boot=anchor.boot, steady=anchor.steady, wall=anchor.wall))
    return anchor


def _latest(connection: Connection) -> Millis:
    """When the newest job changed that has not ended."""
    return Millis(connection.execute(select(func.max(jobs.c.updated_at)).where(~jobs.c.final)).scalar_one())
