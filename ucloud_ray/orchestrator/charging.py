"""What the provider's accounting asks: chargeCredits, checkCredits, reportUsage (control-api 8). One transaction each.

A charge costs `units x periods x pricePerUnit` and counts once per `chargeId`. One that the wallet cannot pay takes
what is left and is recorded with that, and the job is named in `insufficientFunds`. The wallet is empty then: the
time was used (ACC-17), and a rest that pays for no unit would let jobs start again and again for nothing. A charge
that comes again is named in `duplicateCharges`, and in `insufficientFunds`, too, while the wallet is empty: the first
answer may have been lost.

Usage is a fact that is never refused: what exceeds the quota is owed, and the next grant pays it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import charge_rows, wallet_rows, wallet_rules
from ucloud_ray.orchestrator.charge_rows import Payer
from ucloud_ray.orchestrator.errors import ApiError, BadRequest, Forbidden, NotFound
from ucloud_ray.orchestrator.job_record import parse_id
from ucloud_ray.orchestrator.ledger import Books, Ledger
from ucloud_ray.orchestrator.products import Category, ProductBook
from ucloud_ray.orchestrator.wallet_feed import WalletFeed
from ucloud_ray.orchestrator.wallet_rows import PROJECT, USER, Owner
from ucloud_ray.wire.accounting import ChargeItem, UsageReport, WalletOwner

MAX_AMOUNT = 2**53
"""Of one charge or report, so that sums over all of them fit into 64 bits for ever."""


class Charging:
    def __init__(
        self, database: Database, products: ProductBook, books: Books, feed: WalletFeed, now: Callable[[], int]
    ) -> None:
        self._database = database
        self._products = products
        self._books = books
        self._feed = feed
        self._now = now

    async def charge(self, provider: str, items: Sequence[ChargeItem]) -> dict[str, Any]:
        """`{insufficientFunds, duplicateCharges}`. Raises `NotFound` for an unknown job; then nothing is charged."""
        _check_charges(items)
        now = self._now()

        def work(connection: Connection) -> tuple[_Outcome, list[int]]:
            ledger = self._books(connection)
            outcome = self._judge(connection, provider, items, ledger)
            for item, taken, short in outcome.fresh:
                charge_rows.record(connection, provider, item, taken, short, now)
            return outcome, ledger.close()

        outcome, changed = await self._database.write(work)
        self._feed.publish(changed)
        return outcome.answer()

    async def check(self, provider: str, items: Sequence[ChargeItem]) -> dict[str, Any]:
        """The same question about the same items together, without charging."""
        _check_charges(items)

        def work(connection: Connection) -> tuple[_Outcome, list[int]]:
            ledger = self._books(connection)
            return self._judge(connection, provider, items, _Pretence(ledger)), ledger.close()

        # A write: a workspace that is asked about for the first time gets its wallet here.
        outcome, changed = await self._database.write(work)
        self._feed.publish(changed)
        return outcome.answer()

    def _judge(
        self, connection: Connection, provider: str, items: Sequence[ChargeItem], purse: Ledger | _Pretence
    ) -> _Outcome:
        payers = _payers(connection, provider, items)
        known = charge_rows.known_charges(connection, provider, items)
        outcome = _Outcome()
        for item in items:
            payer = payers[item.id]
            if item.charge_id in known:
                outcome.repeated(item, known[item.charge_id] and purse.left(payer.owner, payer.category) <= 0)
                continue
            price = self._price(payer, item)
            taken = purse.pay(payer.owner, payer.category, price, item.charge_id) if price else 0
            known[item.charge_id] = taken < price
            outcome.paid(item, taken, taken < price)
        return outcome

    async def report(self, provider: str, items: Sequence[UsageReport]) -> list[bool]:
        """For each whether the wallet is not locked; false also for an owner without a wallet (O6).

        The first item that is wrong ends it with `Forbidden` or `BadRequest`; those before it stay (control-api 8.1).
        """
        now = self._now()

        def work(connection: Connection) -> tuple[list[bool], ApiError | None, list[int]]:
            ledger, answers = self._books(connection), list[bool]()
            wrong: ApiError | None = None
            for index, item in enumerate(items):
                try:
                    answers.append(self._report(connection, ledger, provider, item, now))
                except ApiError as error:
                    error.why = f"items[{index}]: {error.why}"
                    wrong = error
                    break
            return answers, wrong, ledger.close()

        answers, wrong, changed = await self._database.write(work)
        self._feed.publish(changed)
        if wrong is not None:
            raise wrong
        return answers

    def _report(self, connection: Connection, ledger: Ledger, provider: str, item: UsageReport, now: int) -> bool:
        category = self._category(provider, item)
        owner = _owner(item.owner)
        if not -MAX_AMOUNT <= item.usage <= MAX_AMOUNT:
            raise BadRequest(f"usage: must not be above {MAX_AMOUNT}")
        if item.usage < 0 and not item.is_delta_charge:
            raise Forbidden("usage: must not be negative")
        if not wallet_rows.is_known(connection, owner):
            raise Forbidden("owner: there is no such workspace here")
        if category.free:
            return True
        wallet = ledger.wallet(owner, category.key)
        if wallet is None:
            return False
        scope = item.description.scope or ""
        _check_text(scope)
        before = wallet_rows.usage_of(connection, wallet, scope)
        change = item.usage if item.is_delta_charge else item.usage - before
        if not scope and not item.is_delta_charge:
            change = item.usage - sum(one.used for one in wallet.allocations)  # O5: it stands for the whole wallet
        elif before + change < 0:
            raise Forbidden("usage: would be negative")
        ledger.use(wallet, change, scope)
        wallet_rows.set_usage(connection, wallet, scope, before + change, now)
        return wallet_rules.available(wallet.allocations, now) > 0

    def _category(self, provider: str, item: UsageReport) -> Category:
        named = item.category_id_v2
        category = self._products.category(named.provider, named.name) if named.provider == provider else None
        if category is None:
            raise Forbidden("categoryIdV2: this provider has no such product category")
        return category

    def _price(self, payer: Payer, item: ChargeItem) -> int:
        price = item.units * item.periods * self._products.price(payer.product)
        if price > MAX_AMOUNT:
            raise BadRequest(f"the charge {item.charge_id[:100]} is above {MAX_AMOUNT}")
        return price


class _Pretence:
    """Pays from a ledger without taking anything out of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._left: dict[tuple[Owner, tuple[str, str]], int] = {}

    def left(self, owner: Owner, category: tuple[str, str]) -> int:
        if (owner, category) not in self._left:
            self._left[owner, category] = self._ledger.left(owner, category)
        return self._left[owner, category]

    def pay(self, owner: Owner, category: tuple[str, str], amount: int, reference: str) -> int:
        taken = min(amount, max(self.left(owner, category), 0))
        self._left[owner, category] -= taken
        return taken


@dataclass(slots=True)
class _Outcome:
    fresh: list[tuple[ChargeItem, int, bool]] = field(default_factory=list)
    """What was taken, and whether it was less than the charge."""
    short: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    def paid(self, item: ChargeItem, taken: int, short: bool) -> None:
        self.fresh.append((item, taken, short))
        if short:
            self.short.append(item.id)

    def repeated(self, item: ChargeItem, short: bool) -> None:
        self.duplicates.append(item.id)
        if short:
            self.short.append(item.id)

    def answer(self) -> dict[str, Any]:
        return {
            "insufficientFunds": [{"id": job_id} for job_id in self.short],
            "duplicateCharges": [{"id": job_id} for job_id in self.duplicates],
        }


def _payers(connection: Connection, provider: str, items: Iterable[ChargeItem]) -> dict[str, Payer]:
    """Raises `NotFound` for the first item of an unknown job."""
    numbers = {item.id: parse_id(item.id) for item in items}
    found = charge_rows.payers(connection, provider, [number for number in numbers.values() if number is not None])
    by_id = {str(number): payer for number, payer in found.items()}
    for job_id in numbers:
        if job_id not in by_id:
            raise NotFound(f"Not found or permission denied ({job_id})")
    return by_id


def _check_charges(items: Iterable[ChargeItem]) -> None:
    for index, item in enumerate(items):
        if not (0 <= item.units <= MAX_AMOUNT and 0 <= item.periods <= MAX_AMOUNT):
            raise BadRequest(f"items[{index}]: units and periods must not be negative, nor above {MAX_AMOUNT}")
        _check_text(f"{item.charge_id}{item.performed_by}{item.description}", f"items[{index}]: ")


def _check_text(text: str, where: str = "") -> None:
    if "\0" in text:
        raise BadRequest(f"{where}texts must not contain NUL characters")


def _owner(given: WalletOwner) -> Owner:
    name = given.username if given.type == USER else given.project_id
    if given.type not in (USER, PROJECT) or not name or "\0" in name:
        raise Forbidden("owner: must be a user with a `username`, or a project with a `projectId`")
    return Owner(given.type, name)
