"""Charges inside a transaction of the caller (ACC-8). Sends nothing; `control.charger` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from ucloud_ray.control.ports import ChargeRow
from ucloud_ray.domain.effects import Charge
from ucloud_ray.domain.ids import JobId, Millis
from ucloud_ray.domain.job import Job, Owner
from ucloud_ray.store.tables import charges

_CHUNK = 500
"""Numbers in one statement; SQLite limits its variables."""

_APPEND = insert(charges)
_REPLACE = delete(charges).where(charges.c.charge_id == bindparam("of")).returning(charges.c.at)
_OF_JOB_ID = (charges.c.job_id == bindparam("of")) & (charges.c.style != "reportUsage")
_DROP_OF_JOB_ID = delete(charges).where(_OF_JOB_ID)
_SETTLE = delete(charges).where(charges.c.seq.in_(bindparam("seqs", expanding=True)))


def append(connection: Connection, job: Job, due: Sequence[Charge], now: Millis) -> None:
    """A usage report holds all that older ones under its scope said (ACC-13), and has waited for as long (ACC-22)."""
    for charge in due:
        since = now
        if charge.style == "reportUsage":
            since = min([now, *connection.execute(_REPLACE, {"of": charge.charge_id}).scalars()])
        connection.execute(_APPEND, _values(job, charge, since))


def waiting(connection: Connection, limit: int) -> list[ChargeRow]:
    return [_row(row) for row in connection.execute(select(charges).order_by(charges.c.seq).limit(limit))]


def drop_for_job_id(connection: Connection, job_id: JobId) -> None:
    """The owner of the job that the id now means would pay for them (O3). A usage report names who pays by itself."""
    connection.execute(_DROP_OF_JOB_ID, {"of": job_id})


def settle(connection: Connection, seqs: Sequence[int]) -> None:
    for start in range(0, len(seqs), _CHUNK):
        connection.execute(_SETTLE, {"seqs": list(seqs[start : start + _CHUNK])})


def backlog(connection: Connection) -> tuple[int, Millis | None]:
    number, oldest = connection.execute(select(func.count(), func.min(charges.c.at)).select_from(charges)).one()
    return number, oldest


def _values(job: Job, charge: Charge, since: Millis) -> dict[str, Any]:
    return {
        "uid": job.uid,
        "job_id": job.id,
        "created_by": job.spec.owner.created_by,
        "project": job.spec.owner.project,
        "category": job.spec.machine.product.category,
        "style": charge.style,
        "charge_id": charge.charge_id,
        "units": charge.units,
        "periods": charge.periods,
        "at": since,
    }


def _row(row: Row[Any]) -> ChargeRow:
    charge = Charge(row.charge_id, row.style, row.units, row.periods)
    return ChargeRow(row.seq, row.uid, row.job_id, Owner(row.created_by, row.project), row.category, charge, row.at)
