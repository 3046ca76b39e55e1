"""Public addresses on the wire (models 14)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ucloud_ray.wire.common import BulkRequest, to_wire
from ucloud_ray.wire.network_addresses import (
    FirewallItem,
    PortRangeAndProto,
    PublicIp,
    PublicIpUpdate,
    ResourceUpdate,
)

ADDRESS: dict[str, Any] = {
    "id": "51231",
    "createdAt": 1700000000000,
    "owner": {"createdBy": "user#1", "project": None},
    "permissions": None,
    "providerGeneratedId": None,
    "specification": {"product": {"id": "public-ip", "category": "public-ip", "provider": "example"}, "firewall": None},
    "status": {"state": "PREPARING", "boundTo": [], "ipAddress": None},
    "updates": [],
}


def test_an_address_without_firewall_is_read_with_nulls_and_without() -> None:
    assert PublicIp.model_validate(ADDRESS).specification.firewall is None
    bare = {"id": "51231", "specification": {"product": ADDRESS["specification"]["product"]}}
    assert PublicIp.model_validate(bare).status.ip_address is None


def test_the_rules_of_an_address_name_ranges_of_both_protocols() -> None:
    rules = {"openPorts": [{"start": 80, "end": 90, "protocol": "TCP"}, {"start": 53, "end": 53, "protocol": "UDP"}]}
    request = {"items": [{"networkIp": ADDRESS, "firewall": rules}]}
    (item,) = BulkRequest[FirewallItem].model_validate(request).items
    assert [(one.start, one.end, one.protocol) for one in item.firewall.open_ports] == [
        (80, 90, "TCP"),
        (53, 53, "UDP"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 90, "end": 80, "protocol": "TCP"},
        {"start": -1, "end": 80, "protocol": "TCP"},
        {"start": 80, "end": 65536, "protocol": "TCP"},
        {"start": 80, "end": 80, "protocol": "ICMP"},
        {"start": "80", "end": 80, "protocol": "TCP"},
    ],
)
def test_a_range_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PortRangeAndProto.model_validate(wrong)


def test_the_provider_tells_the_address_that_it_chose() -> None:
    """control-api 10.4."""
    told = ResourceUpdate(
        id="51231", update=PublicIpUpdate(state="READY", change_ip_address=True, new_ip_address="192.0.2.7")
    )
    assert to_wire(told, omit_null=True) == {
        "id": "51231",
        "update": {"state": "READY", "changeIpAddress": True, "newIpAddress": "192.0.2.7", "timestamp": 0},
    }
