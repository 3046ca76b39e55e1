"""What fits where (SCH-1, SCH-2, SCH-11, SCH-14, SCH-17 to SCH-20)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import (
    GIGABYTE,
    fits,
    free_of,
    how_many,
    place_greedily,
    queue_status,
    requested_cpu,
    sellable_cpu,
    total,
)


def machine(cpu_milli: int = 1000, gigs: int = 1, gpu: int = 0) -> Machine:
    return Machine(ProductId("p", "c", "x"), cpu_milli, gigs * GIGABYTE, gpu)


def room(cores: int, gigs: int = 100, gpu: int = 0) -> tuple[int, int, int]:
    return cores * 1000, gigs * GIGABYTE, gpu


def test_the_scarcest_dimension_limits() -> None:
    assert how_many(room(10, 3), machine(2000, 1)) == 3
    assert how_many(room(10, 100, 1), machine(1000, 1, 1)) == 1
    assert how_many(room(10, 100, 0), machine(1000, 1, 1)) == 0
    assert how_many((-1000, GIGABYTE, 0), machine()) == 0


def test_replicas_fill_the_fullest_machine_first() -> None:
    """SCH-11."""
    assert place_greedily({"big": room(8), "small": room(2)}, machine(), 3) == ("small", "small", "big")


def test_all_replicas_fit_or_none_is_placed() -> None:
    assert place_greedily({"a": room(2), "b": room(1)}, machine(), 4) is None


def test_equally_full_machines_are_taken_by_name() -> None:
    assert place_greedily({"b": room(1), "a": room(1)}, machine(), 2) == ("a", "b")


def test_use_on_other_machines_does_not_count() -> None:
    assert free_of({"a": room(4)}, {"a": room(1, 10), "gone": room(9)}) == {"a": room(3, 90)}


def test_a_job_that_fits_only_an_empty_cluster_does_not_fit_now() -> None:
    """SCH-14."""
    assert fits({"a": room(4)}, {}, machine(), 4)
    assert not fits({"a": room(4)}, {"a": room(1)}, machine(), 4)
    assert not fits({}, {}, machine())


@pytest.mark.parametrize(("cores", "status"), [(0, "FULL"), (1, "BUSY"), (2, "AVAILABLE")])
def test_the_queue_is_judged_by_how_many_more_fit(cores: int, status: str) -> None:
    """SCH-20."""
    assert queue_status({"a": room(cores)}, machine()) == status
    assert queue_status({}, machine()) == "FULL"


def test_sizes_add_up() -> None:
    assert total([room(1, 2, 3), room(4, 5, 6)]) == room(5, 7, 9)
    assert total([]) == (0, 0, 0)


@given(st.dictionaries(st.text(max_size=2), st.integers(0, 5), max_size=4), st.integers(1, 12))
def test_a_placement_never_exceeds_a_machine_and_is_found_if_there_is_one(cores: dict[str, int], replicas: int) -> None:
    hosts = place_greedily({host: room(n) for host, n in cores.items()}, machine(), replicas)
    assert (hosts is not None) == (sum(cores.values()) >= replicas)
    assert hosts is None or (len(hosts) == replicas and all(hosts.count(host) <= cores[host] for host in cores))


# ---------------------------------------------------------------------------------------- what the system keeps


@pytest.mark.parametrize(
    ("cores", "fraction", "milli"), [(1, 1.0, 958), (12, 1.0, 11_496), (2, 0.25, 479), (12, 1 / 7, 1_642)]
)
def test_sch5_a_replica_requests_a_little_less_than_it_may_use(cores: int, fraction: float, milli: int) -> None:
    assert requested_cpu(cores * 1000, 500, 12_000, fraction) == milli


def test_sch5_a_machine_as_large_as_the_largest_product_sells_all_of_itself() -> None:
    assert sellable_cpu(12_000, 500, 12_000) == 12_000
    assert sellable_cpu(64_000, 500, 12_000) == 64_000


def test_sch5_a_smaller_machine_sells_less_than_it_has() -> None:
    assert sellable_cpu(4_000, 500, 12_000) == 3_653
    assert sellable_cpu(400, 500, 12_000) == 0
    assert sellable_cpu(4_000, 500, 400) == 0, "nothing is left of any core"
    assert sellable_cpu(4_000, 0, 12_000) == 4_000


@given(
    st.integers(1, 128),
    st.integers(1, 128),
    st.lists(st.integers(1, 128), min_size=1, max_size=40),
    st.integers(0, 3000),
)
def test_sch5_what_fits_the_books_leaves_the_reservation_and_what_does_not_would_not(
    machine_cores: int, largest: int, products: list[int], reserved: int
) -> None:
    """The books are kept in what is sold, and mean the same as the requests that are written down nowhere."""
    products = [min(cores, largest) for cores in products]
    requests = sum(requested_cpu(cores * 1000, reserved, largest * 1000) for cores in products)
    fits_books = sum(products) * 1000 <= sellable_cpu(machine_cores * 1000, reserved, largest * 1000)
    leaves_it = requests <= machine_cores * 1000 - reserved
    if requests > 0:
        assert fits_books == (leaves_it and sum(products) <= machine_cores)


# ------------------------------------------------------------------------------------------------- what is avoided


def test_sch11_a_machine_where_a_start_failed_is_taken_last_but_taken() -> None:
    free = {"a": room(1), "b": room(2)}
    assert place_greedily(free, machine(), 1) == ("a",)
    assert place_greedily(free, machine(), 1, avoid=["a"]) == ("b",)
    assert place_greedily(free, machine(), 3, avoid=["a"]) == ("b", "b", "a")
