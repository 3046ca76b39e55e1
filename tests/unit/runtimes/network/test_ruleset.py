"""Which table judges a pair, and how little a change of pairs changes (ENV-44, ENV-48)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runtimes.network import docker_bridge, ruleset
from runtimes.network.plan import Neighbour, NetworkPlan

HERE, NEXT, THERE, ELSEWHERE = "10.83.1.2", "10.83.1.3", "10.83.2.2", "10.83.3.3"
PLAN = NetworkPlan("test", "10.83.1.0/24", "10.83.0.0/16", neighbours=(Neighbour("10.83.2.0/24", "192.0.2.2"),))


def pairs_of(script: str) -> dict[str, set[str]]:
    """Family to the pairs in its set, of a whole script."""
    found = {}
    for family, body in re.findall(r"^table (\w+) \w+ \{\n(.*?)^\}", script, re.DOTALL | re.MULTILINE):
        listed = re.search(r"set pairs \{ [^;]*;(?: elements = \{ (.*?) \};)?", body)
        assert listed is not None
        found[family] = set(filter(None, (listed[1] or "").split(", ")))
    return found


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((HERE, NEXT), {"bridge": {f"{HERE} . {NEXT}", f"{NEXT} . {HERE}"}, "inet": set()}),
        ((HERE, THERE), {"bridge": set(), "inet": {f"{HERE} . {THERE}", f"{THERE} . {HERE}"}}),
        ((THERE, HERE), {"bridge": set(), "inet": {f"{HERE} . {THERE}", f"{THERE} . {HERE}"}}),
        ((THERE, ELSEWHERE), {"bridge": set(), "inet": set()}),
    ],
)
def test_a_pair_is_in_the_one_table_that_sees_its_packets(pair: tuple[str, str], expected: dict[str, set[str]]) -> None:
    assert pairs_of(ruleset.whole(replace(PLAN, pairs=(pair,)))) == expected


def test_a_change_of_pairs_names_the_changed_ones_only() -> None:
    old = replace(PLAN, pairs=((HERE, NEXT), (HERE, THERE)))
    new = replace(PLAN, pairs=((THERE, HERE), (NEXT, THERE)))
    script = ruleset.difference(old, new)
    assert script is not None
    assert script.splitlines() == [
        f"delete element bridge ucloud_ray_test pairs {{ {HERE} . {NEXT}, {NEXT} . {HERE} }}",
        f"add chain bridge ucloud_ray_test {ruleset.mark(new)}",
        f"delete chain bridge ucloud_ray_test {ruleset.mark(old)}",
        f"add element inet ucloud_ray_test pairs {{ {NEXT} . {THERE}, {THERE} . {NEXT} }}",
        f"add chain inet ucloud_ray_test {ruleset.mark(new)}",
        f"delete chain inet ucloud_ray_test {ruleset.mark(old)}",
    ]


def test_a_change_of_anything_else_takes_the_whole() -> None:
    assert ruleset.difference(PLAN, replace(PLAN, denied=("192.0.2.0/24",))) is None


def test_metadata_services_are_always_denied() -> None:
    """ENV-44."""
    assert "set denied { type ipv4_addr; flags interval; auto-merge; elements = { 169.254.0.0/16 }; }" in (
        ruleset.whole(PLAN)
    )


def test_nothing_is_expected_from_a_tunnel_where_there_is_none() -> None:
    script = ruleset.whole(replace(PLAN, between="routes"))
    assert "vx-test" not in script
    assert "udp dport" not in script


@pytest.mark.parametrize(("version", "said"), [((1, 41), None), ((1, 48), "nat-unprotected")])
def test_docker_is_told_to_let_other_machines_in_where_it_would_not(version: tuple[int, ...], said: str | None) -> None:
    """Since 28.0 it drops what comes for a container from elsewhere, whatever `DOCKER-USER` says."""
    options = docker_bridge.config(PLAN, 1450, version)["Options"]
    assert options.get("com.docker.network.bridge.gateway_mode_ipv4") == said


@pytest.mark.parametrize(
    ("chain", "own", "shut"),
    [
        ("leaving", "ip saddr . ip daddr @pairs accept", "ip daddr 10.83.0.0/16 drop"),
        ("entering", "ip saddr . ip daddr @pairs accept", "ip saddr 10.83.0.0/16 drop"),
    ],
)
def test_traffic_between_tasks_passes_as_a_pair_or_not_at_all(chain: str, own: str, shut: str) -> None:
    """ENV-48: before anything could pass it as part of a connection that was allowed once."""
    body = re.search(rf"chain {chain} \{{\n(.*?)\n  \}}", ruleset.whole(PLAN), re.DOTALL)
    assert body is not None
    rules = [line.strip() for line in body[1].splitlines()]
    before = rules[: rules.index(shut)]
    assert before[-1].endswith(own)
    assert not any("established" in rule for rule in before)
    assert rules[-1] == "drop"
