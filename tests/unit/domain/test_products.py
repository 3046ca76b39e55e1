"""What fits where (SCH-1, SCH-2, SCH-11, SCH-14, SCH-17 to SCH-20)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import GIGABYTE, fits, free_of, how_many, place_greedily, queue_status, total


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
