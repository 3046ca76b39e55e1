"""Statements about labels of jobs: kept in the specification, where they are shown, and in a table to filter by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from ucloud_ray.orchestrator.tables import jobs, labels


def add_labels(connection: Connection, job_id: int, given: Mapping[str, str]) -> None:
    """Of a job that has none."""
    if given:
        connection.execute(
            insert(labels), [{"job_id": job_id, "name": name, "value": value} for name, value in given.items()]
        )


def replace_labels(connection: Connection, job_id: int, given: Mapping[str, str]) -> None:
    """All of them (control-api 7.2). Nothing happens if the job is gone."""
    stored = connection.execute(select(jobs.c.specification).where(jobs.c.id == job_id)).scalar()
    if stored is None:
        return
    specification = labelled(stored, given)
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(specification=specification))
    remove_labels(connection, job_id)
    add_labels(connection, job_id, given)


def labelled(specification: bytes, given: Mapping[str, str]) -> bytes:
    """The same specification with these labels; without the field if there are none, as at the creation."""
    content = orjson.loads(specification)
    content.pop("labels", None)
    return orjson.dumps({**content, "labels": dict(given)} if given else content)


def remove_labels(connection: Connection, job_id: int) -> None:
    connection.execute(delete(labels).where(labels.c.job_id == job_id))


def has_labels(wanted: Mapping[str, str]) -> Iterable[ColumnElement[bool]]:
    """Conditions for jobs that bear all of them."""
    for name, value in wanted.items():
        yield exists().where(labels.c.job_id == jobs.c.id, labels.c.name == name, labels.c.value == value)
