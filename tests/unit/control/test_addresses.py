"""Subnets of machines and addresses of replicas (D14)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.builders import place, queued, spec
from ucloud_ray.control.addresses import Addresses, NoAddressLeft, needs_network
from ucloud_ray.control.ports import Node
from ucloud_ray.domain.events import PlacementGranted
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import Backend, PeerRequest
from ucloud_ray.domain.lifecycle import decide
from ucloud_ray.settings import NetworkSettings

TINY = NetworkSettings(range="10.83.0.0/27", node_prefix=29)
"""Four subnets with five addresses for containers each."""


def node(host: str, networked: bool = True) -> Node:
    return Node(host, "192.0.2.7", True, frozenset(Backend), {}, {}, networked=networked)


async def numbers(*hosts: str) -> Addresses:
    """Of machines that are called in this order."""
    return await known(TINY, *hosts)


async def known(settings: NetworkSettings, *hosts: str) -> Addresses:
    given_numbers: dict[str, int] = {}

    async def number_of(host: str) -> int:
        return given_numbers.setdefault(host, len(given_numbers))

    addresses = Addresses(settings, number_of)
    await addresses.learn([node(host) for host in hosts])
    return addresses


def take(addresses: Addresses, uid: str, *hosts: str) -> tuple[str | None, ...]:
    return addresses.take(JobUid(uid), Backend.DOCKER, [node(host) for host in hosts])


async def test_each_machine_has_a_subnet_of_its_own_by_its_number() -> None:
    addresses = await numbers("node-a", "node-b")
    assert (addresses.subnet("node-a"), addresses.subnet("node-b")) == ("10.83.0.0/29", "10.83.0.8/29")
    assert addresses.subnet("unknown") is None


async def test_every_container_of_a_machine_has_another_address_of_its_subnet() -> None:
    addresses = await numbers("node-a", "node-b")
    assert take(addresses, "one", "node-a", "node-b", "node-a") == ("10.83.0.2", "10.83.0.10", "10.83.0.3")


async def test_an_address_is_given_again_as_late_as_possible() -> None:
    """A machine whose clean-up was not told may still use it."""
    addresses = await numbers("node-a")
    seen = []
    for number in range(6):
        seen += take(addresses, str(number), "node-a")
        addresses.give_back(JobUid(str(number)))
    assert seen == ["10.83.0.2", "10.83.0.3", "10.83.0.4", "10.83.0.5", "10.83.0.6", "10.83.0.2"]


async def test_a_job_gets_all_its_addresses_or_none() -> None:
    """SCH-11."""
    addresses = await numbers("node-a")
    take(addresses, "one", *["node-a"] * 3)
    with pytest.raises(NoAddressLeft):
        take(addresses, "two", *["node-a"] * 3)
    assert len(take(addresses, "three", "node-a", "node-a")) == 2
    assert not addresses.serves(node("node-a"))


async def test_an_address_stays_taken_while_the_old_container_may_live() -> None:
    addresses = await numbers("node-a", "node-b")
    take(addresses, "old", "node-a", "node-b")
    kept = addresses.give_back(JobUid("old"), keep=frozenset({"node-a"}))
    others = [take(addresses, str(number), "node-a")[0] for number in range(4)]
    assert "10.83.0.2" not in others
    assert not addresses.serves(node("node-a"))
    addresses.free(kept)
    assert take(addresses, "new", "node-a") == ("10.83.0.2",)


async def test_after_a_restart_what_running_jobs_have_is_taken() -> None:
    job = queued(spec(2))
    job, _ = decide(job, PlacementGranted(1, ("node-a", "node-a"), ("10.83.0.2", "10.83.0.4")), job.created_at)
    addresses = await numbers("node-a")
    await addresses.adopt(job)
    assert take(addresses, "new", *["node-a"] * 3) == ("10.83.0.3", "10.83.0.5", "10.83.0.6")
    addresses.give_back(job.uid)
    assert take(addresses, "newer", "node-a") == ("10.83.0.2",)


async def test_a_job_from_before_there_was_a_network_takes_nothing() -> None:
    addresses = await numbers("node-0")
    await addresses.adopt(place(queued()))
    assert take(addresses, "new", "node-0") == ("10.83.0.2",)


async def test_a_process_has_its_machines_own_address() -> None:
    addresses = await numbers("node-a")
    assert addresses.take(JobUid("one"), Backend.NATIVE, [node("node-a")]) == ("192.0.2.7",)
    assert addresses.take(JobUid("two"), Backend.VIRTUAL_MACHINE, [node("node-a")]) == (None,)


async def test_without_a_network_there_is_no_address() -> None:
    off = await known(replace(TINY, mode="none"), "node-a")
    assert take(off, "one", "node-a") == (None,)
    broken = await numbers("node-a")
    assert broken.take(JobUid("one"), Backend.DOCKER, [node("node-a", networked=False)]) == (None,)
    assert not broken.serves(node("node-a", networked=False))


async def test_a_machine_beyond_the_range_has_no_network() -> None:
    addresses = await numbers("a", "b", "c", "d", "e")
    assert addresses.subnet("d") == "10.83.0.24/29"
    assert addresses.subnet("e") is None
    assert take(addresses, "one", "e") == (None,)


def test_only_containers_with_somebody_to_talk_to_need_a_network() -> None:
    alone, two = spec(), spec(2)
    guest = replace(alone, launch=replace(alone.launch, peers=(PeerRequest("database", JobId("7")),)))
    assert [needs_network(one) for one in (alone, two, guest)] == [False, True, True]
    assert not needs_network(spec(2, backend=Backend.NATIVE))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=40))
async def test_no_two_jobs_ever_have_the_same_address(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever comes and goes."""
    addresses = await numbers("a", "b", "c")
    held: dict[str, tuple[str | None, ...]] = {}
    for number, (host, count, ends) in enumerate(steps):
        if ends and held:
            addresses.give_back(JobUid(first := next(iter(held))))
            del held[first]
        try:
            held[str(number)] = take(addresses, str(number), *[host] * count)
        except NoAddressLeft:
            continue
        in_use = [address for of_job in held.values() for address in of_job]
        assert len(in_use) == len(set(in_use))
