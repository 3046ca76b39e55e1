"""The network belongs to the kernel and to dockerd (D1, D14): whatever of ours or theirs dies, it stays closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runtimes.network.names import Names
from runtimes.network.plan import Neighbour, NetworkPlan
from tests.support import dockerd, hosts, images
from tests.support.hosts import Host
from tests.support.network_agent import NetworkAgent, Refused
from tests.support.network_bed import NAME, SERVED, Bed, both_ways, output_of

PAIRS = (("a1", "a2"), ("a2", "b1"))
OURS = Names(NAME)


def test_everything_stays_in_force_without_agents_and_after_a_crash_of_docker(bed: Bed) -> None:
    """With and without a dockerd that touches the firewall."""
    bed.apply(PAIRS)
    try:
        for site in bed.sites:
            site.crash()
        assert bed.reached() == both_ways(PAIRS)
    finally:
        for site in bed.sites:
            site.come_back()
    assert bed.reached() == both_ways(PAIRS)
    outside = f"{bed.outside.address}:{SERVED}"
    with bed.serving(bed.outside):
        assert set(bed.tasks["a1"].reach(outside)) == {outside}
        assert set(bed.tasks["b1"].reach(outside)) == {outside}
    for site in bed.sites:
        assert site.agent.recall(NAME) == bed.plan(site, PAIRS).digest
    answer = output_of(bed.a, "a1", ["nslookup", "a2", "127.0.0.11"])
    assert bed.tasks["a2"].address not in answer, "Docker's name server is open again"


@pytest.mark.parametrize(
    "damage",
    [
        f"nft delete table inet {OURS.table}",
        f"nft delete table bridge {OURS.table}",
        f"ip link delete {OURS.tunnel}",
        "iptables -F DOCKER-USER",
    ],
)
def test_damage_is_seen_and_repaired_by_applying_the_same_plan_again(bed: Bed, damage: str) -> None:
    bed.apply(PAIRS)
    digest = bed.plan(bed.a, PAIRS).digest
    assert bed.a.agent.recall(NAME) == digest
    bed.a.host.run(*damage.split())
    assert bed.a.agent.recall(NAME) is None
    bed.apply(PAIRS)
    assert bed.a.agent.recall(NAME) == digest
    assert bed.reached() == both_ways(PAIRS)


def test_elements_changed_by_hand_are_put_right_with_the_next_plan(bed: Bed) -> None:
    """The difference to the plan before cannot be applied then."""
    bed.apply(PAIRS)
    one, other = (bed.tasks[name].address for name in ("a1", "a2"))
    bed.a.host.run("nft", "delete", "element", "bridge", OURS.table, "pairs", f"{{ {one} . {other} }}")
    bed.apply([("a2", "b1")])
    assert bed.reached() == both_ways([("a2", "b1")])


def test_a_neighbour_that_is_gone_is_forgotten_and_one_that_moved_is_found(bed: Bed) -> None:
    bed.apply()
    known = _ways(bed.a.host)
    bed.a.agent.apply(bed.plan(bed.a, neighbours=()))
    assert _ways(bed.a.host) == ([], [], [])
    moved = bed.plan(bed.a).neighbours[0]
    bed.a.agent.apply(bed.plan(bed.a, neighbours=(Neighbour(moved.subnet, bed.outside.address),)))
    routes, links, machines = _ways(bed.a.host)
    assert (routes, links) == known[:2]
    assert [bed.outside.address in line for line in machines] == [True]


@pytest.mark.parametrize("between", ["vxlan", "routes"])
@pytest.mark.parametrize("iptables", ["true", "false"])
def test_remove_leaves_nothing_and_touches_nothing_of_others(iptables: str, between: str) -> None:
    """Their tables, bridges and routes are as they were, while ours is there and after it is gone."""
    with _machine(f"--iptables={iptables}") as (host, agent):
        host.run("sh", "-c", _OF_OTHERS)
        _use_networks_once(host)
        before = _everything(host)
        plan = _plan(host, between)
        agent.apply(plan)
        agent.apply(plan)
        during = _everything(host)
        assert all(line in during for line in before.splitlines())
        assert OURS.bridge in during
        agent.remove(NAME)
        agent.remove(NAME)
        assert _everything(host) == before
        assert agent.recall(NAME) is None


def test_a_network_in_use_is_not_removed_and_says_by_whom() -> None:
    with _machine("--iptables=false") as (host, agent):
        agent.apply(_plan(host, "none"))
        api = dockerd.client(host.docker_url)
        user = api.create_container(
            images.tiny_image(api),
            ["sleep", "1000"],
            name="somebody",
            host_config=api.create_host_config(network_mode=OURS.docker),
        )
        api.start(user)
        with pytest.raises(Refused, match=r"StartFailed: .* in use by somebody .*end those containers first"):
            agent.remove(NAME)
        with pytest.raises(Refused, match=r"StartFailed: .* in use by somebody"):
            agent.apply(_plan(host, "none", subnet="10.83.9.0/24"))
        api.close()


def test_a_machine_without_an_answering_docker_has_no_network_and_says_so() -> None:
    """The rules are in force all the same: nothing is ever open first and closed later."""
    with _machine("--iptables=false") as (host, agent):
        assert agent.possible() == ""
        assert host.daemon is not None
        host.daemon.stop()
        assert "Docker daemon" in agent.possible()
        with pytest.raises(Refused, match=r"RuntimeUnavailable: .*Docker daemon"):
            agent.apply(_plan(host, "none"))
        assert OURS.table in host.run("nft", "list", "tables").stdout
        assert agent.recall(NAME) is None


_OF_OTHERS = """
nft add table inet operators
nft add chain inet operators forward '{ type filter hook forward priority 0; policy accept; }'
nft add rule inet operators forward tcp dport 25 drop
ip link add operators type bridge
ip link set operators up
ip address add 10.99.0.1/24 dev operators
ip route add 10.98.0.0/24 via 10.99.0.7 proto 83 metric 5
"""
"""The route has our protocol's number by chance."""


@contextmanager
def _machine(*network: str) -> Iterator[tuple[Host, NetworkAgent]]:
    if reason := hosts.missing() or images.missing_programs():
        pytest.skip(reason)
    with hosts.hosts(1, daemons=False) as lan:
        lan[0].start_daemon(["--bridge=none", *network])
        agent = NetworkAgent(lan[0])
        try:
            yield lan[0], agent
        finally:
            agent.kill()


def _plan(host: Host, between: str, **changes: str) -> NetworkPlan:
    plain = {"subnet": "10.83.1.0/24", "range": "10.83.0.0/16", "address": host.address, "between": between}
    near = Neighbour("10.83.2.0/24", host.address.rpartition(".")[0] + ".77")
    return NetworkPlan(NAME, neighbours=(near,), **plain | changes)


def _everything(host: Host) -> str:
    """What a machine's network consists of, without counters and what changes by itself."""
    asked = "nft list ruleset; ip -brief link; ip route; bridge fdb; iptables -S; iptables -t nat -S"
    lists = host.run("sh", "-c", asked).stdout
    networks = host.run("docker", f"--host={host.docker_url}", "network", "ls", "--format={{.Name}}").stdout
    return lists + networks


def _use_networks_once(host: Host) -> None:
    """Docker makes some rules of its own with its first network and keeps them."""
    for verb in (["create"], ["rm"]):
        host.run("docker", f"--host={host.docker_url}", "network", *verb, "operators")


def _ways(host: Host) -> tuple[list[str], list[str], list[str]]:
    """Routes, link addresses and machines of the tunnel."""
    asked = (
        ("ip", "route", "show", "proto", "83"),
        ("ip", "neigh", "show", "dev", OURS.tunnel),
        ("bridge", "fdb", "show", "dev", OURS.tunnel),
    )
    routes, links, machines = (host.run(*words).stdout.splitlines() for words in asked)
    return routes, links, machines
