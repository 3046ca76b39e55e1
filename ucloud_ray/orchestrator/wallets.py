"""Wallets for users and administrators: browse, grant; and the clock that locks what has run out of time.

Wallets come into being when they are asked for the first time, with `orchestrator.initialGrant` in them. So a fresh
installation works without anybody granting anything, and nothing has to be made for users who never come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.db.errors import StoreError
from ucloud_ray.orchestrator import ledger as books
from ucloud_ray.orchestrator import wallet_rows, wallet_view
from ucloud_ray.orchestrator.errors import BadRequest, Forbidden
from ucloud_ray.orchestrator.items import GrantItem
from ucloud_ray.orchestrator.job_query import parse_flag, parse_offset, parse_page_size
from ucloud_ray.orchestrator.ledger import Books
from ucloud_ray.orchestrator.products import Category, ProductBook, ProductKey
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.wallet_feed import WalletFeed
from ucloud_ray.orchestrator.wallet_rows import PROJECT, USER, Owner, Wallet

MAX_GRANT = 10**15
MAX_DATE = 10**14
WATCH_SECONDS = 5.0
_log = logging.getLogger(__name__)

Shown = Callable[[Wallet, Category], dict[str, Any]]


class Wallets:
    def __init__(
        self,
        database: Database,
        products: ProductBook,
        ledgers: Books,
        initial_grant: int,
        feed: WalletFeed,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._products = products
        self._ledgers = ledgers
        self._initial_grant = initial_grant
        self._feed = feed
        self._now = now

    async def browse(self, user: User, project: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        """`PageV2<Wallet>` of the mission document: what the workspace has. Raises `Forbidden`, `BadRequest`."""
        return await self._browse(user, project, query, wallet_view.documented)

    async def browse_current(self, user: User, project: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        """The same as the current Core shows it."""
        now = self._now()
        return await self._browse(user, project, query, partial(wallet_view.current, now=now))

    async def usable(self, user: User, project: str | None) -> Callable[[ProductKey], bool]:
        """Which products the workspace may use: those that are free, and those that it was granted something for
        (mission document, retrieveProducts). Administrators see all."""
        if user.is_admin or self._initial_grant > 0:
            return lambda _: True
        owner = Owner(USER, user.name) if project is None else Owner(PROJECT, project)
        wallets = await self._database.read(lambda connection: wallet_rows.of_owner(connection, owner))
        owned = {(one.provider, one.category) for one in wallets}
        return lambda product: not self._products.costs(product) or (product[2], product[1]) in owned

    async def grant(self, admin: User, items: Sequence[GrantItem]) -> list[dict[str, Any]]:
        """All or none; the ids of the new allocations. Raises `BadRequest`."""
        for index, item in enumerate(items):
            self._check(item, f"items[{index}].")
        now = self._now()

        def work(connection: Connection) -> tuple[list[int], list[int]]:
            ledger = self._ledgers(connection)
            made = [
                ledger.grant(
                    _owner(item),
                    (item.category.provider, item.category.name),
                    item.amount,
                    now if item.start_date is None else item.start_date,
                    item.end_date,
                    admin.name,
                )
                for item in items
            ]
            return made, ledger.close()

        made, changed = await self._database.write(work)
        self._feed.publish(changed)
        return [{"id": str(number)} for number in made]

    async def watch(self) -> None:
        """For ever: notices that an allocation has begun or ended, which no request brings about."""
        seen = 0  # at first everything: this process may have been away
        while True:
            now = self._now()
            try:
                await self._turn(seen, now)
                seen = now
            except StoreError as error:
                _log.warning("wallets cannot be looked at now: %s", error)
            except Exception:  # a fault of ours: the next look must not be lost with this one
                _log.exception("wallets could not be looked at")
            await asyncio.sleep(WATCH_SECONDS)

    async def _turn(self, after: int, now: int) -> None:
        ids = await self._database.read(lambda connection: wallet_rows.ids_with_turn(connection, after, now))
        if not ids:
            return

        def work(connection: Connection) -> list[int]:
            changed = []
            for wallet in wallet_rows.by_id(connection, ids):
                if wallet.locked != (locked := books.is_locked(wallet, now)):
                    wallet.locked, wallet.updated_at = locked, now
                    wallet_rows.set_condition(connection, wallet)
                    changed.append(wallet.id)
            return changed

        self._feed.publish(await self._database.write(work))

    async def _browse(self, user: User, project: str | None, query: Mapping[str, str], shown: Shown) -> dict[str, Any]:
        everybody = parse_flag(query, "everybody")
        if not user.is_admin and (everybody or (project and user.membership.role(project) is None)):
            raise Forbidden("Only administrators may see wallets of others, or of projects that they are not in.")
        size, offset = parse_page_size(query), parse_offset(query)
        wanted = query.get("filterType") or query.get("filterProductType")
        owner = Owner(PROJECT, project) if project else Owner(USER, user.name)
        found = await self._load(None if everybody else owner) if wanted in (None, "", "COMPUTE") else []
        page = [shown(wallet, category) for wallet, category in found[offset : offset + size]]
        more = len(found) > offset + size
        return {"itemsPerPage": size, "items": page, "next": str(offset + size) if more else None}

    async def _load(self, owner: Owner | None) -> list[tuple[Wallet, Category]]:
        def work(connection: Connection) -> tuple[list[Wallet], list[int]]:
            ledger = self._ledgers(connection)
            if owner is not None:
                for category in self._products.categories():
                    if not category.free:
                        ledger.wallet(owner, category.key)
            changed = ledger.close()
            return wallet_rows.of_owner(connection, owner), changed

        wallets, changed = await self._database.write(work)
        self._feed.publish(changed)
        named = ((wallet, self._products.category(wallet.provider, wallet.category)) for wallet in wallets)
        return [(wallet, category) for wallet, category in named if category is not None]

    def _check(self, item: GrantItem, where: str) -> None:
        if not 1 <= item.amount <= MAX_GRANT:
            raise BadRequest(f"{where}amount: must be between 1 and {MAX_GRANT}, in millionths of the currency")
        if self._products.category(item.category.provider, item.category.name) is None:
            raise BadRequest(f"{where}category: there is no product category of this name")
        start, end = item.start_date or 0, MAX_DATE if item.end_date is None else item.end_date
        if not 0 <= start < end <= MAX_DATE:
            raise BadRequest(f"{where}startDate, endDate: must be milliseconds since 1970, the end after the start")
        _owner(item, where)


def _owner(item: GrantItem, where: str = "") -> Owner:
    name = item.owner.username if item.owner.type == USER else item.owner.project_id
    if item.owner.type not in (USER, PROJECT) or not name or "\0" in name or name.startswith(("#P_", "_")):
        raise BadRequest(f"{where}owner: must be a user with a `username`, or a project with a `projectId`")
    return Owner(item.owner.type, name)
