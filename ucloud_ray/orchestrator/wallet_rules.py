"""Arithmetic of one wallet: which allocation pays, what is left, when it is locked. Pure; called by `ledger`.

active         from its start date to before its end date
pays           active allocations, the one that expires first before the others (EXPIRE_FIRST), never below 0
overdraft      usage that has been reported is a fact: what no allocation can pay is taken from the last one all the
               same, whose balance is negative then
given back     usage that is reported lower than before, from the last that paid to the first
locked         nothing is left in what is active
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Millis = int


@dataclass(slots=True)
class Allocation:
    id: int
    initial: int
    balance: int
    start: Millis
    end: Millis | None = None

    @property
    def used(self) -> int:
        return self.initial - self.balance

    def is_active(self, now: Millis) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


def active(allocations: Iterable[Allocation], now: Millis) -> list[Allocation]:
    """In the order in which they pay."""
    found = [one for one in allocations if one.is_active(now)]
    return sorted(found, key=lambda one: (one.end is None, one.end or 0, one.id))


def available(allocations: Iterable[Allocation], now: Millis) -> int:
    return sum(one.balance for one in allocations if one.is_active(now))


def quota(allocations: Iterable[Allocation], now: Millis) -> int:
    return sum(one.initial for one in allocations if one.is_active(now))


Parts = dict[int, int]
"""Allocation to what it paid; negative: what it got back."""


def pay(allocations: Sequence[Allocation], amount: int, now: Millis) -> Parts:
    """Takes as much of `amount` as there is."""
    parts: Parts = {}
    for one in active(allocations, now):
        _move(one, min(amount, max(one.balance, 0)), parts)
        amount -= parts.get(one.id, 0)
    return parts


def use(allocations: Sequence[Allocation], amount: int, now: Millis) -> Parts:
    """Takes all of `amount`, into debt if need be. An amount below 0 is given back."""
    if amount < 0:
        return _give_back(allocations, -amount)
    parts = pay(allocations, amount, now)
    debtors = active(allocations, now) or sorted(allocations, key=lambda one: one.id)
    if debtors:
        _move(debtors[-1], amount - sum(parts.values()), parts)
    return parts


def _give_back(allocations: Sequence[Allocation], amount: int) -> Parts:
    parts: Parts = {}
    # Debts first, then the newest: the opposite of the order in which they paid.
    for one in sorted(allocations, key=lambda one: (one.balance >= 0, -one.id)):
        part = min(amount, max(one.used, 0))
        _move(one, -part, parts)
        amount -= part
    return parts


def _move(one: Allocation, part: int, parts: Parts) -> None:
    if part:
        one.balance -= part
        parts[one.id] = parts.get(one.id, 0) + part
