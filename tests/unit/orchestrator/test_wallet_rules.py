"""Which allocation pays, and that nothing is lost or made on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.orchestrator.wallet_rules import Allocation, available, pay, quota, use

NOW = 1_000


def test_the_allocation_that_expires_first_pays_first() -> None:
    for_ever, late, soon = Allocation(1, 10, 10, 0), Allocation(2, 10, 10, 0, 9_000), Allocation(3, 10, 10, 0, 2_000)
    assert pay([for_ever, late, soon], 25, NOW) == {3: 10, 2: 10, 1: 5}
    assert [one.balance for one in (for_ever, late, soon)] == [5, 0, 0]


def test_what_has_not_begun_or_has_ended_neither_pays_nor_counts() -> None:
    """The end itself is outside."""
    wallet = [Allocation(1, 10, 10, NOW + 1), Allocation(2, 10, 10, 0, NOW), Allocation(3, 7, 7, NOW, NOW + 1)]
    assert (available(wallet, NOW), quota(wallet, NOW)) == (7, 7)
    assert pay(wallet, 100, NOW) == {3: 7}


def test_usage_beyond_everything_is_owed_and_the_next_allocation_pays_it() -> None:
    wallet = [Allocation(1, 10, 10, 0)]
    use(wallet, 25, NOW)
    assert (wallet[0].balance, available(wallet, NOW)) == (-15, -15)
    wallet.append(Allocation(2, 20, 20, 0))
    assert available(wallet, NOW) == 5


def test_usage_after_the_last_allocation_has_ended_is_owed_by_it() -> None:
    wallet = [Allocation(1, 10, 10, 0, NOW)]
    assert use(wallet, 3, NOW) == {1: 3}
    assert available(wallet, NOW) == 0


def test_without_an_allocation_nothing_is_taken() -> None:
    assert (pay([], 3, NOW), use([], 3, NOW), use([], -3, NOW)) == ({}, {}, {})


wallets = st.lists(
    st.builds(
        lambda number, initial, start, end: Allocation(number, initial, initial, start, end),
        st.integers(1, 10**6),
        st.integers(1, 100),
        st.sampled_from([0, NOW, NOW + 1]),
        st.sampled_from([None, NOW, NOW + 1]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one.id,
)


@given(wallets, st.lists(st.tuples(st.sampled_from([pay, use]), st.integers(-60, 120)), max_size=12))
def test_balances_are_initial_balances_less_what_was_taken(
    wallet: list[Allocation], moves: list[tuple[object, int]]
) -> None:
    """Whatever happens in whatever order; a charge never goes below 0, and never gives back more than was taken."""
    taken = 0
    for move, amount in moves:
        if move is pay:
            purse = sum(max(one.balance, 0) for one in wallet if one.is_active(NOW))
            part = sum(pay(wallet, abs(amount), NOW).values())
            assert part == min(abs(amount), purse)
        else:
            part = sum(use(wallet, amount, NOW).values())
            assert part == max(amount, -taken)
        taken += part
    assert sum(one.used for one in wallet) == taken
    assert all(one.used >= 0 for one in wallet)
