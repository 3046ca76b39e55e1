"""Who may do what with a job (end-user-api 8): its creator, those who lead its project, and administrators everything,
others what they were given.

"Not found" and "not permitted" are one answer, so that ids tell strangers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ucloud_ray.orchestrator import grant_rows, job_rows
from ucloud_ray.orchestrator.errors import job_not_found
from ucloud_ray.orchestrator.job_query import Filters
from ucloud_ray.orchestrator.job_record import JobRecord, parse_id
from ucloud_ray.orchestrator.tokens import User

READ, EDIT, ADMIN = "READ", "EDIT", "ADMIN"
EVERYTHING = (READ, EDIT, ADMIN)


@dataclass(frozen=True, slots=True)
class Reached:
    """A job together with what the caller may do with it."""

    record: JobRecord
    myself: tuple[str, ...]
    grants: Mapping[str, Sequence[str]]


def reach(connection: Connection, user: User, job_id: str, needed: str, filters: Filters | None = None) -> Reached:
    """Raises `NotFound`."""
    number = parse_id(job_id)
    record = None if number is None else job_rows.find(connection, number, filters)
    if record is None:
        raise job_not_found(job_id)
    grants = grant_rows.grants_of(connection, [record.id]).get(record.id, {})
    myself = permissions(user, record, grants)
    if needed not in myself:
        raise job_not_found(job_id)
    return Reached(record, myself, grants)


def reach_all(connection: Connection, user: User, job_ids: Sequence[str], needed: str) -> list[Reached]:
    """In the order of the ids. One that cannot be reached refuses the whole call, before anything is done."""
    return [reach(connection, user, job_id, needed) for job_id in job_ids]


def permissions(user: User, record: JobRecord, grants: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    member = user.membership
    if user.is_admin or member.leads(record.project):
        return EVERYTHING
    if user.name == record.created_by and not member.is_outside(record.project):
        return EVERYTHING
    return granted(user, grants)


def granted(user: User, grants: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """By name, or by a group; who may edit may read."""
    given = {one for key in user.membership.names() for one in grants.get(key, ())}
    return tuple(one for one in (READ, EDIT) if one in given or (one == READ and EDIT in given))
