"""Devices that a Docker daemon left on our bridge when it was killed while it started or ended a container.

Docker makes a pair of devices, puts one end on the bridge and moves the other into the container. Killed in between, it
forgets both. Blocking; called by `node_network` with every look at the machine.

    look ──none──▶ nothing to do, and Docker is not asked
     │ some whose other end never left
    is a container about to be started? ──yes──▶ leave them: one may be its own
     │ no
    look again ──▶ those in both looks are nobody's
"""

from __future__ import annotations

from typing import Any

from runtimes.docker.client import DockerClient
from runtimes.network.names import Names
from runtimes.network.netlink import delete_index, find_link, kernel

_SETTLED = frozenset({"running", "paused", "exited", "dead"})
"""States of containers whose devices are where they belong. We start no container that has exited."""
_DOCKERS = "veth"
"""What the names begin with that Docker gives to both ends. Others are the operator's."""


def remove(client: DockerClient, name: str) -> tuple[str, ...]:
    """Names of the devices that were removed. Raises `errors.RuntimeUnavailable`."""
    made = Names(name)
    seen = _look(made.bridge)
    if not seen or _any_unsettled(client, made.docker):
        return ()
    again = _look(made.bridge)
    orphans = {index: called for index, called in seen.items() if again.get(index) == called}
    with kernel() as netlink:
        for index in orphans:
            delete_index(netlink, index)
    return tuple(sorted(orphans.values()))


def _any_unsettled(client: DockerClient, network: str) -> bool:
    return any(container["State"] not in _SETTLED for container in client.list_on_network(network))


def _look(bridge: str) -> dict[int, str]:
    """Number and name of each pair's end on the bridge whose other end is in this network, too."""
    with kernel() as netlink:
        found = find_link(netlink, bridge)
        ports = [] if found is None else netlink.get_links(master=found["index"])
        return {int(port["index"]): str(port.get_attr("IFLA_IFNAME")) for port in ports if _is_left(port)}


def _is_left(port: Any) -> bool:
    """The kernel names the network of the other end only where it is not this one."""
    kind = port.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") if port.get_attr("IFLA_LINKINFO") else None
    called = str(port.get_attr("IFLA_IFNAME"))
    return kind == "veth" and called.startswith(_DOCKERS) and port.get_attr("IFLA_LINK_NETNSID") is None
