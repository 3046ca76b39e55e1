"""The order of jobs on a page, and where the next page goes on (end-user-api 1.3). Used by `job_query` and `job_rows`.

A page goes on behind the last job of the page before, by what it was sorted by and then by id: jobs that are added or
removed meanwhile move nobody to another page. What a job is sorted by may change, too: one that is extended between
two pages may be met twice when the order is by time left.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, case, or_

from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.job_record import parse_id
from ucloud_ray.orchestrator.tables import jobs
from ucloud_ray.orchestrator.update_rules import FINAL_STATES

CREATED_AT, CREATED_BY, TIME_LEFT = "createdAt", "createdBy", "timeLeft"
SORTS = frozenset({CREATED_AT, CREATED_BY, TIME_LEFT})
LAST = {True: 2**62, False: -1}
"""By direction: what puts a job without an end behind all that have one."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last job of a page."""

    id: int
    key: int | str | None = None
    """What the page is sorted by, unless that is the creation, which ids follow."""


def parse_position(token: str, sort: str) -> Position | None:
    """Raises `BadRequest` for anything but a token of a page in this order."""
    if not token:
        return None
    position = _plain(token) if sort == CREATED_AT else _packed(token, sort)
    if position is None:
        raise BadRequest("next: must be taken unchanged from the page before")
    return position


def token_of(position: Position, sort: str) -> str:
    if sort == CREATED_AT:
        return str(position.id)
    return base64.urlsafe_b64encode(orjson.dumps([sort, position.key, position.id])).decode().rstrip("=")


def sort_key(sort: str, ascending: bool) -> ColumnElement[Any] | None:
    """What a page is sorted by before the id; None for the creation."""
    if sort == CREATED_BY:
        return jobs.c.created_by
    if sort == TIME_LEFT:
        known = and_(
            jobs.c.state.not_in(FINAL_STATES), jobs.c.started_at.is_not(None), jobs.c.time_allocation.is_not(None)
        )
        return case((known, jobs.c.started_at + jobs.c.time_allocation), else_=LAST[ascending])
    return None


def beyond(position: Position, key: ColumnElement[Any] | None, ascending: bool) -> ColumnElement[bool]:
    """Jobs behind that one."""
    by_id = jobs.c.id > position.id if ascending else jobs.c.id < position.id
    if key is None:
        return by_id
    by_key = key > position.key if ascending else key < position.key
    return or_(by_key, and_(key == position.key, by_id))


def _plain(token: str) -> Position | None:
    number = parse_id(token)
    return None if number is None else Position(number)


def _packed(token: str, sort: str) -> Position | None:
    try:
        content = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        return None
    match content:
        case [str(of), key, number] if of == sort and _is_number(number) and _is_key(key, sort):
            return Position(number, key)
    return None


def _is_key(value: Any, sort: str) -> bool:
    return isinstance(value, str) and "\0" not in value if sort == CREATED_BY else _is_number(value)


def _is_number(value: Any) -> bool:
    """One that the database can compare with: tokens come from outside and may say anything."""
    return type(value) is int and abs(value) < 2**63
