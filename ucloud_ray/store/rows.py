"""Row <-> domain. A record is JSON in an envelope with the version of its format.

A new field with a default needs no new version: older records get the default. Raise `FORMAT` when the meaning of a
field changes, and convert older records in `_open`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row

from ucloud_ray.control.ports import OutboxRow
from ucloud_ray.db.errors import StoreDamaged, StoreTooNew
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Job

FORMAT = 1
"""Of records and updates that this version writes."""

T = TypeVar("T")
_JOB = TypeAdapter(Job)
_UPDATE = TypeAdapter(Announce)


def job_values(job: Job, now: Millis) -> dict[str, Any]:
    """The columns of `jobs` that follow from the job."""
    return {
        "uid": job.uid,
        "job_id": job.id,
        "created_at": job.created_at,
        "final": job.final,
        "phase": job.phase.kind,
        "state": job.told.value,
        "owner": job.spec.owner.project or job.spec.owner.created_by,
        "record": _seal(_JOB, job),
        "accepted_at": job.accepted_at,
        "updated_at": now,
    }


def job_of(record: str) -> Job:
    """Raises `StoreTooNew` or `StoreDamaged`."""
    return _open(_JOB, record)


def update_text(update: Announce) -> str:
    return _seal(_UPDATE, update)


def outbox_row_of(row: Row[Any]) -> OutboxRow:
    return OutboxRow(row.seq, row.uid, row.job_id, _open(_UPDATE, row.update), row.at)


def document_text(document: Mapping[str, Any] | None) -> str | None:
    # Escaped to ASCII: neither a NUL nor half a surrogate pair can then trouble a database.
    return None if document is None else json.dumps(document, separators=(",", ":"))


def document_of(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else json.loads(text)


def _seal(adapter: TypeAdapter[Any], value: object) -> str:
    return f'{{"format":{FORMAT},"value":{adapter.dump_json(value).decode()}}}'


def _open(adapter: TypeAdapter[T], text: str) -> T:
    try:
        envelope = json.loads(text)
        if envelope["format"] > FORMAT:
            raise StoreTooNew(
                f"A record has format {envelope['format']}; this version of ucloud-ray reads up to {FORMAT}."
            )
        return adapter.validate_python(envelope["value"])
    except (ValidationError, ValueError, KeyError, TypeError):
        raise StoreDamaged("A record cannot be read. Restore the database from a backup.") from None
