"""Statements about jobs. Functions of a connection, run inside `Database.read` and `Database.write`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    not_,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import Text as SqlText

from ucloud_ray.orchestrator.errors import BadGateway
from ucloud_ray.orchestrator.job_order import Position, beyond, sort_key, token_of
from ucloud_ray.orchestrator.job_query import Filters, Page
from ucloud_ray.orchestrator.job_record import Draft, JobRecord, columns_of, facts_of, record_of
from ucloud_ray.orchestrator.label_rows import add_labels, has_labels, remove_labels
from ucloud_ray.orchestrator.tables import grants, jobs, updates
from ucloud_ray.orchestrator.update_rules import SUSPENDED, Applied, JobFacts

INITIAL_STATE = "IN_QUEUE"
_IS_MACHINE = func.coalesce(jobs.c.backend, "") == "VIRTUAL_MACHINE"

# Statements of the hot paths, `create` and `control/update`, are made once: making and hashing a statement costs more
# than the database needs to run it.
_FACT_COLUMNS = (
    jobs.c.id, jobs.c.state, jobs.c.updated_at, jobs.c.update_count, jobs.c.started_at, jobs.c.time_allocation,
    jobs.c.output_folder, jobs.c.allow_restart, jobs.c.resources, jobs.c.restart_on_exit, jobs.c.restart_at,
    jobs.c.restart_ordered, jobs.c.soon_ends,
)  # fmt: skip
_FACTS = select(*_FACT_COLUMNS).where(
    jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.provider == bindparam("of_provider")
)
_SET_FACTS = (
    update(jobs)
    .where(jobs.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in columns_of(JobFacts("", 0))})
)
_ACCEPT = (
    update(jobs).where(jobs.c.id == bindparam("of_id")).values(accepted=True, provider_generated_id=bindparam("theirs"))
)
_NAMESAKES = (
    select(jobs.c.id)
    .where(
        jobs.c.provider == bindparam("of_provider"),
        jobs.c.provider_generated_id == bindparam("theirs"),
        jobs.c.id != bindparam("of_id"),
    )
    .limit(1)
)
_INSERT = insert(jobs)
_INSERT_UPDATES = insert(updates)

# ------------------------------------------------------------------------------------------------------ creation


def insert_drafts(connection: Connection, drafts: Sequence[Draft], now: int) -> list[JobRecord]:
    """The jobs exist from here on, so that updates which come before the answer to `create` find them (O8)."""
    return [_insert(connection, draft, now) for draft in drafts]


def accept(connection: Connection, record: JobRecord, provider_generated_id: str | None) -> None:
    """The provider has taken the job. Raises `BadGateway` when its id for it names another job too (O1)."""
    if provider_generated_id and _is_taken(connection, record, provider_generated_id):
        raise BadGateway("The provider answered with an id that another job has. Tell its operator.")
    connection.execute(_ACCEPT, {"of_id": record.id, "theirs": provider_generated_id or None})


def remove(connection: Connection, job_id: int) -> None:
    """For jobs that the provider refused."""
    connection.execute(delete(updates).where(updates.c.job_id == job_id))
    connection.execute(delete(grants).where(grants.c.job_id == job_id))
    remove_labels(connection, job_id)
    connection.execute(delete(jobs).where(jobs.c.id == job_id))


def remove_unconfirmed(connection: Connection) -> int:
    """Jobs whose `create` was cut off by our own end. Nobody was told their ids; the provider forgets them when its
    updates are answered with 404 (provider-api 6.1)."""
    ids = list(connection.execute(select(jobs.c.id).where(~jobs.c.accepted)).scalars())
    for job_id in ids:
        remove(connection, job_id)
    return len(ids)


def _insert(connection: Connection, draft: Draft, now: int) -> JobRecord:
    facts = JobFacts(
        INITIAL_STATE, updated_at=now, time_allocation=draft.time_allocation, restart_on_exit=draft.restart_on_exit
    )
    columns: dict[str, Any] = {
        "created_at": now,
        "created_by": draft.created_by,
        "project": draft.project,
        "provider": draft.product.provider,
        "product_id": draft.product.id,
        "product_category": draft.product.category,
        "application_name": draft.application_name,
        "application_version": draft.application_version,
        "title": draft.title,
        "specification": orjson.dumps(draft.specification),
        "provider_generated_id": None,
    }
    values = {"accepted": False, "backend": draft.backend, **columns, **columns_of(facts)}
    result = connection.execute(_INSERT, values)
    key = result.inserted_primary_key
    assert key is not None
    add_labels(connection, key[0], draft.specification.get("labels") or {})
    return JobRecord(id=key[0], facts=facts, **columns)


def is_known_at(connection: Connection, provider: str, provider_generated_id: str) -> bool:
    """Whether a job has this id at its provider."""
    named = {"of_provider": provider, "theirs": provider_generated_id, "of_id": 0}
    return connection.execute(_NAMESAKES, named).first() is not None


def _is_taken(connection: Connection, record: JobRecord, provider_generated_id: str) -> bool:
    named = {"of_provider": record.provider, "theirs": provider_generated_id, "of_id": record.id}
    return connection.execute(_NAMESAKES, named).first() is not None


# ------------------------------------------------------------------------------------------------------- updates


def facts_of_jobs(connection: Connection, provider: str, ids: Iterable[int]) -> dict[int, JobFacts]:
    """Only jobs of that provider."""
    rows = connection.execute(_FACTS, {"ids": list(ids), "of_provider": provider})
    return {row.id: facts_of(row) for row in rows}


def save_applied(connection: Connection, applied: Mapping[int, Applied]) -> None:
    changed = {job_id: one for job_id, one in applied.items() if one.recorded}
    if not changed:
        return
    connection.execute(_SET_FACTS, [{"of_id": job_id, **columns_of(one.facts)} for job_id, one in changed.items()])
    connection.execute(_INSERT_UPDATES, [row for job_id, one in changed.items() for row in _update_rows(job_id, one)])


def waiting_for_restart(connection: Connection, at_most: int) -> list[tuple[int, int]]:
    """Ids and when, the first to be started first."""
    statement = select(jobs.c.id, jobs.c.restart_at).where(jobs.c.restart_at.is_not(None))
    return [
        (row.id, row.restart_at) for row in connection.execute(statement.order_by(jobs.c.restart_at).limit(at_most))
    ]


_WAITS = and_(jobs.c.restart_at.is_not(None), jobs.c.state == SUSPENDED)


def note_restart_order(connection: Connection, job_id: int, look_again_at: int) -> bool:
    """False when the job does not wait any more."""
    values = {"restart_at": look_again_at, "restart_ordered": True}
    return connection.execute(update(jobs).where(jobs.c.id == job_id, _WAITS).values(values)).rowcount == 1


def hasten_restart(connection: Connection, job_id: int, now: int) -> bool:
    """False when the job does not wait. One that was ordered already is left to its order."""
    soon = update(jobs).where(jobs.c.id == job_id, _WAITS, ~jobs.c.restart_ordered).values(restart_at=now)
    connection.execute(soon)
    return connection.execute(select(jobs.c.id).where(jobs.c.id == job_id, _WAITS)).first() is not None


def set_titles(connection: Connection, titles: Iterable[tuple[int, str | None]]) -> None:
    for job_id, title in titles:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(title=title))


def _update_rows(job_id: int, applied: Applied) -> list[dict[str, Any]]:
    first = applied.facts.update_count - len(applied.recorded)
    return [
        {"job_id": job_id, "seq": first + offset, "document": orjson.dumps(document)}
        for offset, document in enumerate(applied.recorded)
    ]


# ------------------------------------------------------------------------------------------------------- reading


def find(connection: Connection, job_id: int, filters: Filters | None = None) -> JobRecord | None:
    statement = select(jobs).where(jobs.c.id == job_id)
    if filters:
        statement = statement.where(_matches(filters))
    row = connection.execute(statement).first()
    return record_of(row) if row else None


def browse(
    connection: Connection, whose: ColumnElement[bool], filters: Filters, page: Page
) -> tuple[list[JobRecord], str | None]:
    """One page and the token of the next, see `job_order`."""
    key = sort_key(page.sort, page.ascending)
    statement = select(jobs, (null() if key is None else key).label("sort_key")).where(whose, _matches(filters))
    if page.after is not None:
        statement = statement.where(beyond(page.after, key, page.ascending))
    order = [column.asc() if page.ascending else column.desc() for column in (key, jobs.c.id) if column is not None]
    rows = connection.execute(statement.order_by(*order).limit(page.size + 1)).all()
    shown = rows[: page.size]
    more = len(rows) > page.size
    return [record_of(row) for row in shown], token_of(_position(shown[-1]), page.sort) if more else None


def _position(row: Any) -> Position:
    return Position(row.id, row.sort_key)


def of_user(username: str, keys: Sequence[str]) -> ColumnElement[bool]:
    """Jobs that a user has made for themselves, or was given rights to under one of these keys."""
    mine = and_(jobs.c.created_by == username, jobs.c.project.is_(None))
    return and_(jobs.c.accepted, or_(mine, _granted(keys)))


def of_project(project: str, username: str, keys: Sequence[str], *, all_of_it: bool) -> ColumnElement[bool]:
    """Jobs of a project: all of them, or those that a member has made or was given rights to."""
    seen = true() if all_of_it else or_(jobs.c.created_by == username, _granted(keys))
    return and_(jobs.c.accepted, jobs.c.project == project, seen)


def _granted(keys: Sequence[str]) -> ColumnElement[bool]:
    return exists().where(grants.c.job_id == jobs.c.id, grants.c.username.in_(keys))


def of_provider(provider: str) -> ColumnElement[bool]:
    return jobs.c.provider == provider


def updates_of(connection: Connection, ids: Iterable[int]) -> dict[int, list[bytes]]:
    """JSON of every update, oldest first."""
    found: dict[int, list[bytes]] = {}
    rows = connection.execute(
        select(updates.c.job_id, updates.c.document)
        .where(updates.c.job_id.in_(list(ids)))
        .order_by(updates.c.job_id, updates.c.seq)
    )
    for row in rows:
        found.setdefault(row.job_id, []).append(row.document)
    return found


def _matches(filters: Filters) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [jobs.c[name] == value for name, value in filters.equal.items()]
    conditions += [jobs.c[name] != value for name, value in filters.different.items()]
    if filters.created_after is not None:
        conditions.append(jobs.c.created_at >= filters.created_after)
    if filters.created_before is not None:
        conditions.append(jobs.c.created_at <= filters.created_before)
    if filters.ids is not None:
        conditions.append(jobs.c.id.in_(filters.ids))
    if filters.provider_ids is not None:
        conditions.append(jobs.c.provider_generated_id.in_(filters.provider_ids))
    conditions += has_labels(filters.labels)
    if filters.machines is not None:
        conditions.append(_IS_MACHINE if filters.machines else not_(_IS_MACHINE))
    if filters.text:
        conditions.append(_contains(filters.text))
    return and_(true(), *conditions)


def _contains(text: str) -> ColumnElement[bool]:
    needle = text.lower()
    places = (jobs.c.application_name, jobs.c.title, cast(jobs.c.id, SqlText))
    return or_(*(func.lower(place).contains(needle, autoescape=True) for place in places))
