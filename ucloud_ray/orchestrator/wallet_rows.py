"""Statements about wallets, their allocations and what was taken from them. Functions of a connection.

`balance = initial_balance - sum of the entries` of an allocation, after every transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ucloud_ray.orchestrator.tables import allocations, jobs, usages, wallet_entries, wallets
from ucloud_ray.orchestrator.wallet_rules import Allocation, available

USER, PROJECT = "user", "project"


@dataclass(frozen=True, slots=True)
class Owner:
    """A workspace."""

    type: str
    """`user` or `project`."""
    name: str
    """Name of the user, id of the project."""


def owner_of(created_by: str, project: str | None) -> Owner:
    """Who pays for a job (control-api 8.1)."""
    return Owner(USER, created_by) if project is None else Owner(PROJECT, project)


@dataclass(slots=True)
class Wallet:
    id: int
    owner: Owner
    provider: str
    category: str
    locked: bool
    updated_at: int
    allocations: list[Allocation] = field(default_factory=list)


_WALLET_KEY = and_(
    wallets.c.owner_type == bindparam("of_type"),
    wallets.c.owner == bindparam("of_owner"),
    wallets.c.provider == bindparam("of_provider"),
    wallets.c.category == bindparam("of_category"),
)
# Made once: every `create` asks it.
_WALLET = (
    select(wallets, allocations.c.id.label("allocation_id"), *(
        allocations.c[name] for name in ("initial_balance", "balance", "start_date", "end_date")
    ))
    .select_from(wallets.outerjoin(allocations, allocations.c.wallet_id == wallets.c.id))
)  # fmt: skip
_ONE_WALLET = _WALLET.where(_WALLET_KEY).order_by(allocations.c.id)
_SET_BALANCE = update(allocations).where(allocations.c.id == bindparam("of_id")).values(balance=bindparam("now_left"))


def find(connection: Connection, owner: Owner, provider: str, category: str) -> Wallet | None:
    key = {"of_type": owner.type, "of_owner": owner.name, "of_provider": provider, "of_category": category}
    return next(iter(_wallets(connection.execute(_ONE_WALLET, key).all())), None)


def can_pay(connection: Connection, owner: Owner, category: tuple[str, str], now: int) -> bool:
    """Whether anything is left; without a wallet there is nothing."""
    wallet = find(connection, owner, *category)
    return wallet is not None and available(wallet.allocations, now) > 0


def of_owner(connection: Connection, owner: Owner | None) -> list[Wallet]:
    """By category. None: everybody's, by owner."""
    statement = _WALLET
    if owner is not None:
        statement = statement.where(wallets.c.owner_type == owner.type, wallets.c.owner == owner.name)
    order = (wallets.c.owner_type.desc(), wallets.c.owner, wallets.c.provider, wallets.c.category, allocations.c.id)
    return _wallets(connection.execute(statement.order_by(*order)).all())


def by_id(connection: Connection, ids: Iterable[int]) -> list[Wallet]:
    statement = _WALLET.where(wallets.c.id.in_(list(ids))).order_by(wallets.c.id, allocations.c.id)
    return _wallets(connection.execute(statement).all())


def ids_of_provider(connection: Connection, provider: str, since: int) -> list[int]:
    """Those that changed since then."""
    statement = select(wallets.c.id).where(wallets.c.provider == provider, wallets.c.updated_at >= since)
    return list(connection.execute(statement.order_by(wallets.c.id)).scalars())


def ids_with_turn(connection: Connection, after: int, until: int) -> list[int]:
    """Wallets of which an allocation starts or ends in that time (`after` excluded)."""

    def within(column: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(column > after, column <= until)

    turns = or_(within(allocations.c.start_date), within(allocations.c.end_date))
    return list(connection.execute(select(allocations.c.wallet_id).where(turns).distinct()).scalars())


def is_known(connection: Connection, owner: Owner) -> bool:
    """Whether anything here has ever been this workspace's: the orchestrator keeps no list of users."""
    theirs = select(wallets.c.id).where(wallets.c.owner_type == owner.type, wallets.c.owner == owner.name)
    if connection.execute(theirs.limit(1)).first():
        return True
    column = jobs.c.created_by if owner.type == USER else jobs.c.project
    return connection.execute(select(jobs.c.id).where(column == owner.name).limit(1)).first() is not None


# ------------------------------------------------------------------------------------------------------ changes


def add_wallet(connection: Connection, owner: Owner, provider: str, category: str, now: int) -> Wallet:
    values = {
        "owner_type": owner.type,
        "owner": owner.name,
        "provider": provider,
        "category": category,
        "locked": True,
        "updated_at": now,
    }
    key = connection.execute(insert(wallets).values(values)).inserted_primary_key
    assert key is not None
    return Wallet(key[0], owner, provider, category, locked=True, updated_at=now)


def add_allocation(
    connection: Connection, wallet: Wallet, amount: int, start: int, end: int | None, granted_by: str | None
) -> Allocation:
    values = {
        "wallet_id": wallet.id,
        "initial_balance": amount,
        "balance": amount,
        "start_date": start,
        "end_date": end,
        "granted_by": granted_by,
    }
    key = connection.execute(insert(allocations).values(values)).inserted_primary_key
    assert key is not None
    made = Allocation(key[0], amount, amount, start, end)
    wallet.allocations.append(made)
    return made


def set_balances(connection: Connection, changed: Iterable[Allocation]) -> None:
    rows = [{"of_id": one.id, "now_left": one.balance} for one in changed]
    if rows:
        connection.execute(_SET_BALANCE, rows)


def set_condition(connection: Connection, wallet: Wallet) -> None:
    values = {"locked": wallet.locked, "updated_at": wallet.updated_at}
    connection.execute(update(wallets).where(wallets.c.id == wallet.id).values(values))


def add_entries(connection: Connection, amounts: Mapping[tuple[int, str, str], int]) -> None:
    """Allocation, kind and reference to what was taken; added to what is there."""
    if not amounts:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(wallet_entries)
    added = statement.on_conflict_do_update(
        index_elements=["allocation_id", "kind", "reference"],
        set_={"amount": wallet_entries.c.amount + statement.excluded.amount},
    )
    rows = [
        {"allocation_id": allocation, "kind": kind, "reference": reference, "amount": amount}
        for (allocation, kind, reference), amount in amounts.items()
    ]
    connection.execute(added, rows)


# -------------------------------------------------------------------------------------------------------- usage


def usage_of(connection: Connection, wallet: Wallet, scope: str) -> int:
    found = select(usages.c.usage).where(usages.c.wallet_id == wallet.id, usages.c.scope == scope)
    return connection.execute(found).scalar() or 0


def set_usage(connection: Connection, wallet: Wallet, scope: str, usage: int, now: int) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(usages)
    values = {"usage": usage, "reported_at": now}
    kept = statement.on_conflict_do_update(index_elements=["wallet_id", "scope"], set_=values)
    connection.execute(kept, {"wallet_id": wallet.id, "scope": scope, **values})


def entry_sums(connection: Connection) -> dict[int, int]:
    """Allocation to everything that was taken from it."""
    sums = select(wallet_entries.c.allocation_id, func.sum(wallet_entries.c.amount)).group_by(
        wallet_entries.c.allocation_id
    )
    return {row[0]: int(row[1]) for row in connection.execute(sums)}


def _wallets(rows: Sequence[Row[Any]]) -> list[Wallet]:
    found: dict[int, Wallet] = {}
    for row in rows:
        wallet = found.get(row.id)
        if wallet is None:
            owner = Owner(row.owner_type, row.owner)
            wallet = Wallet(row.id, owner, row.provider, row.category, row.locked, row.updated_at)
            found[row.id] = wallet
        if row.allocation_id is not None:
            wallet.allocations.append(
                Allocation(row.allocation_id, row.initial_balance, row.balance, row.start_date, row.end_date)
            )
    return list(found.values())
