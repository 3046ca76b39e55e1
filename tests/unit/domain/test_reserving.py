"""Room kept for starving jobs (SCH-10), and a whole queue driven with random jobs (SCH-9 to SCH-11)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import Size, how_many, size_of
from ucloud_ray.domain.reserving import choose, still_possible, without

GIGA = 10**9


def machine(cores: int, gigs: int = 1) -> Machine:
    return Machine(ProductId("p", "c", "x"), cores * 1000, gigs * GIGA)


def room(cores: int, gigs: int = 100) -> Size:
    return Size(cores * 1000, gigs * GIGA)


def test_the_machines_that_have_room_soonest_are_kept() -> None:
    capacity = {"a": room(8), "b": room(8), "c": room(8)}
    free = {"a": room(1), "b": room(5), "c": room(2)}
    assert choose(capacity, free, machine(2), 5) == {"b": 4, "c": 1}


def test_nothing_is_kept_where_it_would_never_suffice() -> None:
    assert choose({"a": room(4)}, {"a": room(4)}, machine(2), 3) is None
    assert choose({}, {}, machine(2), 1) is None


def test_a_choice_holds_until_a_machine_is_gone_or_shrinks() -> None:
    assert still_possible({"a": 2}, {"a": room(4)}, machine(2))
    assert not still_possible({"a": 2}, {"a": room(3)}, machine(2))
    assert not still_possible({"a": 2}, {}, machine(2))


def test_what_is_kept_is_missing_for_others_and_nothing_else() -> None:
    free = {"a": room(5), "b": room(5)}
    assert without(free, [({"a": 2, "gone": 1}, machine(2, 10))]) == {"a": room(1, 80), "b": room(5)}


@dataclass
class Cluster:
    """Machines whose small jobs end one by one, in any order, and are followed at once by other small ones."""

    capacity: dict[str, Size]
    running: list[tuple[str, Machine]]

    def free(self) -> dict[str, Size]:
        left = dict(self.capacity)
        for host, one in self.running:
            left[host] = left[host].minus(size_of(one))
        return left

    def fill(self, small: Machine, kept: dict[str, int], big: Machine) -> None:
        """Everybody else takes whatever is open to them."""
        for host in self.capacity:
            while how_many(without(self.free(), [(kept, big)])[host], small):
                self.running.append((host, small))


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_a_starving_job_fits_once_what_ran_has_ended_however_many_small_ones_keep_coming(
    cores: list[int], needs: int, replicas: int, small: int, order: int
) -> None:
    """SCH-10: no starvation, and never over capacity."""
    cluster = Cluster({f"node-{n}": room(size) for n, size in enumerate(cores)}, [])
    big, little = machine(needs), machine(small)
    cluster.fill(little, {}, big)
    kept = choose(cluster.capacity, cluster.free(), big, replicas)
    if kept is None:
        return
    for ended in Random(order).sample(cluster.running, len(cluster.running)):
        cluster.running.remove(ended)
        cluster.fill(little, kept, big)
        assert all(min(left) >= 0 for left in cluster.free().values())
    assert all(how_many(cluster.free()[host], big) >= count for host, count in kept.items())
