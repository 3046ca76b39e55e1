"""Who may talk to whom (ENV-44, ENV-47, ENV-48, ENV-52): tasks on one machine and across machines."""

from __future__ import annotations

import pytest

from tests.support.network_bed import SERVED, Bed, both_ways
from tests.support.network_probe import BIG

CHAIN = (("a1", "a2"), ("a2", "b1"), ("b1", "b2"))
"""Each is connected with the next one only."""


def test_without_pairs_nobody_reaches_anybody(bed: Bed) -> None:
    """ENV-44."""
    bed.apply()
    assert bed.reached() == set()


@pytest.mark.parametrize("between", ["vxlan", "routes"])
def test_pairs_reach_each_other_in_both_directions_and_nobody_else_does(bed: Bed, between: str) -> None:
    """ENV-44, ENV-47; not transitive: ENV-52."""
    bed.apply(CHAIN, between=between)
    assert bed.reached() == both_ways(CHAIN)


def test_a_pair_more_or_less_changes_that_pair_only(bed: Bed) -> None:
    """ENV-48: by difference, on both machines."""
    bed.apply(CHAIN)
    changed = (("a1", "a2"), ("a3", "b1"), ("b1", "b2"))
    bed.apply(changed)
    assert bed.reached() == both_ways(changed)


@pytest.mark.parametrize(("one", "other"), [("a1", "a2"), ("a1", "b1")])
def test_a_revoked_pair_is_cut_off_in_the_middle_of_a_connection(bed: Bed, one: str, other: str) -> None:
    """ENV-48; a connection that was let in does not stay in."""
    bed.apply([(one, other), ("a3", "b2")])
    with bed.tasks[one].connection(bed.tasks[other]) as cut, bed.tasks["a3"].connection(bed.tasks["b2"]) as kept:
        assert (cut.exchange("before"), kept.exchange("before")) == (7, 7)
        bed.apply([("a3", "b2")])
        assert (cut.exchange("after"), kept.exchange("after")) == (0, 6)


@pytest.mark.parametrize(("one", "other"), [("a1", "a2"), ("a1", "b1"), ("b1", "a1")])
def test_much_arrives_whole(bed: Bed, one: str, other: str) -> None:
    """Over the bridge and over the tunnel, which has room for less in a packet."""
    bed.apply([(one, other)])
    with bed.tasks[one].connection(bed.tasks[other]) as connection:
        assert connection.exchange("big") == BIG


@pytest.mark.parametrize(("size", "result"), [(1450 - 28, "arrived"), (1450 - 27, "OSError")])
def test_the_largest_packet_of_a_task_fits_through_the_tunnel(bed: Bed, size: int, result: str) -> None:
    """Its own device refuses what would not, so that nothing vanishes on the way."""
    bed.apply([("a1", "b1")])
    assert bed.tasks["a1"].probe("datagram", bed.tasks["b1"].address, str(SERVED), str(size)) == result
