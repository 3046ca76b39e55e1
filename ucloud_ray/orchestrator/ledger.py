"""The books of one transaction: wallets are read once, changed in memory and written by `close`.

Made inside `Database.write`, which may run its work again: nothing of a ledger outlives its transaction, except the ids
that `close` returns, for telling whoever listens after the commit.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from ucloud_ray.orchestrator import wallet_rows, wallet_rules
from ucloud_ray.orchestrator.errors import PaymentRequired
from ucloud_ray.orchestrator.wallet_rows import Owner, Wallet

CHARGE, USAGE = "charge", "usage"
Category = tuple[str, str]
"""Provider, name."""


class Ledger:
    def __init__(self, connection: Connection, initial_grant: int, now: int) -> None:
        self._connection = connection
        self._initial_grant = initial_grant
        self._now = now
        self._wallets: dict[tuple[Owner, Category], Wallet | None] = {}
        self._paid: dict[int, Wallet] = {}
        self._entries: dict[tuple[int, str, str], int] = {}
        self._granted: set[int] = set()

    def wallet(self, owner: Owner, category: Category) -> Wallet | None:
        """Made with the initial grant when there is none; None when there is no initial grant either."""
        key = (owner, category)
        if key not in self._wallets:
            self._wallets[key] = wallet_rows.find(self._connection, owner, *category) or self._first(owner, category)
        return self._wallets[key]

    def left(self, owner: Owner, category: Category) -> int:
        wallet = self.wallet(owner, category)
        return 0 if wallet is None else wallet_rules.available(wallet.allocations, self._now)

    def require(self, owner: Owner, category: Category) -> None:
        """Raises `PaymentRequired` for a wallet that is empty or not there (ACC-18)."""
        if self.left(owner, category) <= 0:
            raise no_credits(category)

    def pay(self, owner: Owner, category: Category, amount: int, reference: str) -> int:
        """What could be taken of a charge."""
        wallet = self.wallet(owner, category)
        if wallet is None:
            return 0
        return self._book(wallet, CHARGE, reference, wallet_rules.pay(wallet.allocations, amount, self._now))

    def use(self, wallet: Wallet, amount: int, reference: str) -> None:
        """Usage that has happened; below 0 what was reported too much."""
        self._book(wallet, USAGE, reference, wallet_rules.use(wallet.allocations, amount, self._now))

    def grant(self, owner: Owner, category: Category, amount: int, start: int, end: int | None, by: str) -> int:
        """The id of the new allocation."""
        wallet = self.wallet(owner, category)
        if wallet is None:
            wallet = wallet_rows.add_wallet(self._connection, owner, *category, self._now)
            self._wallets[owner, category] = wallet
        self._granted.add(wallet.id)
        return wallet_rows.add_allocation(self._connection, wallet, amount, start, end, by).id

    def close(self) -> list[int]:
        """Writes. The ids of wallets whose quota or lock is another one now."""
        changed = [one for wallet in self._paid.values() for one in wallet.allocations]
        wallet_rows.set_balances(self._connection, changed)
        wallet_rows.add_entries(self._connection, self._entries)
        seen = {wallet.id: wallet for wallet in self._wallets.values() if wallet is not None}
        return [wallet.id for wallet in seen.values() if self._settle(wallet)]

    def _first(self, owner: Owner, category: Category) -> Wallet | None:
        if self._initial_grant <= 0:
            return None
        wallet = wallet_rows.add_wallet(self._connection, owner, *category, self._now)
        # Since ever: a machine whose clock is set back must not take it away again.
        wallet_rows.add_allocation(self._connection, wallet, self._initial_grant, 0, None, None)
        self._granted.add(wallet.id)
        return wallet

    def _book(self, wallet: Wallet, kind: str, reference: str, parts: wallet_rules.Parts) -> int:
        for allocation, part in parts.items():
            key = (allocation, kind, reference)
            self._entries[key] = self._entries.get(key, 0) + part
        if parts:
            self._paid[wallet.id] = wallet
        return sum(parts.values())

    def _settle(self, wallet: Wallet) -> bool:
        locked = is_locked(wallet, self._now)
        significant = locked != wallet.locked or wallet.id in self._granted
        if significant or wallet.id in self._paid:
            wallet.locked, wallet.updated_at = locked, self._now
            wallet_rows.set_condition(self._connection, wallet)
        return significant


Books = Callable[[Connection], Ledger]
"""Opens a ledger with what the configuration says."""


def is_locked(wallet: Wallet, now: int) -> bool:
    return wallet_rules.available(wallet.allocations, now) <= 0


def no_credits(category: Category) -> PaymentRequired:
    return PaymentRequired(
        f"This workspace has reached the compute quota. Ask an administrator for more credits for {category[1]}."
    )
