"""What a killed Docker leaves on the bridge is taken away, and nothing else (ENV-59)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.network.names import Names
from tests.support import images
from tests.support.network_bed import NAME, Bed, Site, both_ways, start

OURS = Names(NAME)
LEFT, OTHER_END = "vethleft", "vethleftpeer"
PAIRS = (("a1", "a2"),)


def test_a_pair_whose_other_end_never_left_is_removed_and_those_of_containers_stay(bed: Bed) -> None:
    """As a dockerd leaves it that is killed between making the pair and moving one end into the container."""
    bed.apply(PAIRS)
    before = _ports(bed.a)
    assert bed.a.agent.tidy(NAME) == []
    _leave_a_pair(bed.a)
    assert _ports(bed.a) == before | {LEFT}
    assert bed.a.agent.tidy(NAME) == [LEFT]
    assert _ports(bed.a) == before
    assert LEFT not in bed.a.host.run("ip", "-brief", "link").stdout
    assert bed.reached() == both_ways(PAIRS)


def test_a_container_that_is_about_to_start_holds_the_removal_back(bed: Bed) -> None:
    """The pair might be its own."""
    bed.apply()
    with _created_container(bed.a):
        _leave_a_pair(bed.a)
        assert bed.a.agent.tidy(NAME) == []
        assert LEFT in _ports(bed.a)
    assert bed.a.agent.tidy(NAME) == [LEFT]


def test_a_container_that_has_ended_holds_nothing_back(bed: Bed) -> None:
    bed.apply()
    asyncio.run(start(bed.a, bed.a.specification("ended", "10.83.1.77", argv=("true",))))
    bed.a.api.wait("ended")
    try:
        _leave_a_pair(bed.a)
        assert bed.a.agent.tidy(NAME) == [LEFT]
    finally:
        bed.a.api.remove_container("ended", force=True)


def test_a_device_of_the_operators_on_the_bridge_stays(bed: Bed) -> None:
    bed.apply()
    _leave_a_pair(bed.a, "monitor", "monitored")
    try:
        assert bed.a.agent.tidy(NAME) == []
    finally:
        bed.a.host.run("ip", "link", "delete", "monitor")


def _leave_a_pair(site: Site, one: str = LEFT, other: str = OTHER_END) -> None:
    site.host.run("ip", "link", "add", one, "type", "veth", "peer", "name", other)
    site.host.run("ip", "link", "set", one, "master", OURS.bridge)


def _ports(site: Site) -> set[str]:
    lines = site.host.run("ip", "-brief", "link", "show", "master", OURS.bridge).stdout.splitlines()
    return {line.split()[0].partition("@")[0] for line in lines}


@contextmanager
def _created_container(site: Site) -> Iterator[None]:
    api = site.api
    host_config = api.create_host_config(network_mode=OURS.docker)
    api.create_container(images.tiny_image(api), ["sleep", "1000"], name="created", host_config=host_config)
    try:
        yield
    finally:
        api.remove_container("created", force=True)
