"""The outbox inside a transaction of the caller (D10). Sends nothing; `core_client.publisher` does."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from ucloud_ray.control.ports import STATUS_ONLY_LIMIT, OutboxRow
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.store.rows import outbox_row_of, update_text
from ucloud_ray.store.tables import outbox

_CHUNK = 500
"""Numbers in one statement; SQLite limits its variables."""

# Made once: making and hashing a statement costs more than the database needs to run it.
_APPEND = insert(outbox).returning(outbox.c.seq)
_ACKNOWLEDGE = delete(outbox).where(outbox.c.seq.in_(bindparam("seqs", expanding=True)))
_TEXTS = (outbox.c.uid == bindparam("of")) & outbox.c.status_only
_NEWEST_TOO_OLD = select(outbox.c.seq).where(_TEXTS).order_by(outbox.c.seq.desc()).limit(1).offset(STATUS_ONLY_LIMIT)
_DROP_OLD_TEXTS = delete(outbox).where(_TEXTS & (outbox.c.seq <= _NEWEST_TOO_OLD.scalar_subquery()))


def append(
    connection: Connection, uid: JobUid | None, job_id: JobId, updates: Sequence[Announce], now: Millis
) -> list[OutboxRow]:
    """Rows in the order of the updates; of status-only ones the newest 64 of a job are kept (REC-22)."""
    rows = [_append(connection, uid, job_id, update, now) for update in updates]
    if uid is not None and any(update.status_only for update in updates):
        connection.execute(_DROP_OLD_TEXTS, {"of": uid})
    return rows


def acknowledge(connection: Connection, seqs: Sequence[int]) -> None:
    for start in range(0, len(seqs), _CHUNK):
        connection.execute(_ACKNOWLEDGE, {"seqs": list(seqs[start : start + _CHUNK])})


def drop_for_job_id(connection: Connection, job_id: JobId) -> None:
    """What waits for an id that now means another job would reach the wrong one (O3)."""
    connection.execute(delete(outbox).where(outbox.c.job_id == job_id))


def pending(connection: Connection) -> list[OutboxRow]:
    return [outbox_row_of(row) for row in connection.execute(select(outbox).order_by(outbox.c.seq))]


def _append(connection: Connection, uid: JobUid | None, job_id: JobId, update: Announce, now: Millis) -> OutboxRow:
    values = {
        "uid": uid,
        "job_id": job_id,
        "status_only": update.status_only,
        "update": update_text(update),
        "at": now,
    }
    seq = connection.execute(_APPEND, values).scalar_one()
    return OutboxRow(seq, uid, job_id, update, now)
