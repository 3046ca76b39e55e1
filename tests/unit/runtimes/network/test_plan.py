"""Plans that mean the same have one digest, and others have others; what is no address goes no further (D14)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from runtimes.errors import InvalidTask
from runtimes.network import names, ruleset
from runtimes.network.names import Names
from runtimes.network.plan import Neighbour, NetworkPlan

NEAR = (Neighbour("10.83.2.0/24", "192.0.2.2"), Neighbour("10.83.3.0/24", "192.0.2.3"))
PAIRS = (("10.83.1.2", "10.83.1.3"), ("10.83.1.2", "10.83.2.2"))
PLAN = NetworkPlan("test", "10.83.1.0/24", "10.83.0.0/16", neighbours=NEAR, pairs=PAIRS, denied=("192.0.2.0/24",))

OTHERS: dict[str, Any] = {
    "name": "other",
    "subnet": "10.83.4.0/24",
    "range": "10.80.0.0/12",
    "between": "routes",
    "neighbours": NEAR[:1],
    "pairs": PAIRS[:1],
    "outbound": (),
    "denied": (),
    "address": "192.0.2.1",
    "vxlan_id": 1,
    "vxlan_port": 4789,
}


def test_the_order_of_a_plan_does_not_matter() -> None:
    reversed_pairs = tuple((other, one) for one, other in reversed(PAIRS))
    assert replace(PLAN, pairs=reversed_pairs, neighbours=NEAR[::-1]).digest == PLAN.digest


@pytest.mark.parametrize("field", [field.name for field in fields(NetworkPlan)])
def test_every_part_of_a_plan_matters(field: str) -> None:
    assert replace(PLAN, **{field: OTHERS[field]}).digest != PLAN.digest


@pytest.mark.parametrize("name", ["", "ninechars", "Upper", "a-b", "a;b", "a\n"])
def test_a_name_that_devices_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match="cannot name a network"):
        Names(name)


def test_devices_of_the_longest_name_fit_into_the_kernels_fifteen_characters() -> None:
    assert max(len(device) for device in (Names("a" * 8).bridge, Names("a" * 8).tunnel)) <= 15


def test_two_networks_of_a_machine_share_no_name_and_no_mark_of_routes() -> None:
    for part in ("bridge", "tunnel", "table", "docker", "route_priority"):
        assert getattr(Names("one"), part) != getattr(Names("other"), part)


def test_link_addresses_follow_from_addresses() -> None:
    assert names.task_mac(names.address("10.83.1.2")) == "02:42:0a:53:01:02"
    assert names.tunnel_mac(names.subnet("10.83.1.0/24")) == "02:58:0a:53:01:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"subnet": "10.83.1.0/8"},
        {"subnet": "10.0.0.0/8"},
        {"subnet": "10.83.1.0/31"},
        {"range": "everything"},
        {"pairs": (("10.83.1.2", "10.83.1.3; drop"),)},
        {"outbound": ("0.0.0.0/0 accept",)},
        {"denied": ("fd00::/8",)},
        {"neighbours": (Neighbour("10.83.2.0/24", "}"),)},
    ],
)
def test_what_is_no_ipv4_address_never_gets_into_a_rule(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        ruleset.whole(replace(PLAN, **changes))
