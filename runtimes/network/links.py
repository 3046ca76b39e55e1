"""The way to other machines' bridges: a VXLAN device with its entries, or routes. Blocking; called by `node_network`.

For each neighbour the tunnel has three entries, all known from the plan, so that nothing is asked or learnt:

    route       its subnet, over its subnet's first number
    neighbour   that number is at this link address (`names.tunnel_mac`)
    forwarding  that link address is behind this machine

Everything is made to be what the plan says, whatever is there; entries of neighbours that are gone are removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from runtimes.errors import RuntimeUnavailable
from runtimes.network import names
from runtimes.network.names import ROUTE_PROTOCOL, Names
from runtimes.network.netlink import GONE, delete_link, find_link, kernel
from runtimes.network.plan import NetworkPlan

_TUNNEL_BYTES = 50
"""What VXLAN adds to a packet."""
_USUAL_MTU = 1500
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_PERMANENT = 0x80


def forward() -> None:
    """Let this machine pass packets on. Raises `errors.RuntimeUnavailable`."""
    try:
        if _FORWARD.read_text().strip() != "1":
            _FORWARD.write_text("1")
    except OSError as error:
        raise RuntimeUnavailable("Packet forwarding cannot be switched on: set net.ipv4.ip_forward to 1.") from error


def mtu(plan: NetworkPlan) -> int:
    """Largest packet that a task may send so that it reaches every machine in one piece."""
    with kernel() as netlink:
        below = _underlay(netlink, plan)["mtu"]
    return int(below) - (_TUNNEL_BYTES if plan.between == "vxlan" else 0)


def connect(plan: NetworkPlan) -> None:
    """Raises `errors.RuntimeUnavailable`."""
    made = Names(plan.name)
    with kernel() as netlink:
        if plan.between == "vxlan":
            tunnel = _ensure_tunnel(netlink, plan, made)
            _entries(netlink, plan, tunnel)
        else:
            delete_link(netlink, made.tunnel)
        _routes(netlink, plan, made)


def disconnect(name: str) -> None:
    """Removes device and routes; fine when there are none."""
    made = Names(name)
    with kernel() as netlink:
        delete_link(netlink, made.tunnel)
        for route in _our_routes(netlink, made):
            _delete_route(netlink, route)


def _underlay(netlink: IPRoute, plan: NetworkPlan) -> dict[str, Any]:
    """Index and MTU of the device that leads to the other machines; 0 where nobody can tell."""
    index = _index_by_address(netlink, plan.address) or _index_by_route(netlink, plan)
    if not index:
        return {"index": 0, "mtu": _USUAL_MTU}
    link = netlink.get_links(index)[0]
    return {"index": index, "mtu": link.get_attr("IFLA_MTU")}


def _index_by_address(netlink: IPRoute, address: str | None) -> int:
    if address is None:
        return 0
    found = netlink.get_addr(address=address)
    return next((int(one["index"]) for one in found), 0)


def _index_by_route(netlink: IPRoute, plan: NetworkPlan) -> int:
    """The machine's way to a neighbour, else to everywhere."""
    for near in plan.neighbours:
        try:
            return int(next(iter(netlink.route("get", dst=near.address))).get_attr("RTA_OIF") or 0)
        except NetlinkError:
            continue
    default = next(iter(netlink.get_default_routes(family=2)), None)
    return 0 if default is None else int(default.get_attr("RTA_OIF") or 0)


def _ensure_tunnel(netlink: IPRoute, plan: NetworkPlan, made: Names) -> int:
    """Index of the device. One that differs in what cannot be changed is made anew."""
    wanted = _tunnel_options(plan)
    link = find_link(netlink, made.tunnel)
    if link is not None and _differs(link, wanted):
        delete_link(netlink, made.tunnel)
        link = None
    if link is None:
        netlink.link("add", ifname=made.tunnel, kind="vxlan", **wanted)
        link = find_link(netlink, made.tunnel)
        assert link is not None, "made one line above"
    below = _underlay(netlink, plan)["mtu"]
    mac = names.tunnel_mac(names.subnet(plan.subnet))
    netlink.link("set", index=link["index"], mtu=below - _TUNNEL_BYTES, address=mac)
    netlink.link("set", index=link["index"], state="up")
    return int(link["index"])


def _tunnel_options(plan: NetworkPlan) -> dict[str, Any]:
    options: dict[str, Any] = {
        "vxlan_id": plan.vxlan_id,
        "vxlan_port": plan.vxlan_port,
        "vxlan_learning": 0,
    }
    return options | ({} if plan.address is None else {"vxlan_local": plan.address})


def _differs(link: Any, wanted: dict[str, Any]) -> bool:
    data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    if data is None:
        return True
    found = {option: data.get_attr(f"IFLA_{option.upper()}") for option in (*wanted, "vxlan_local")}
    return found != {"vxlan_local": None, **wanted}


def _entries(netlink: IPRoute, plan: NetworkPlan, tunnel: int) -> None:
    """The second and third of each neighbour, and nothing else."""
    neighbours = {(str(names.network(near.subnet)[0]), _tunnel_mac_of(near.subnet)) for near in plan.neighbours}
    forwarding = {(_tunnel_mac_of(near.subnet), near.address) for near in plan.neighbours}
    for address, mac in _known_neighbours(netlink, tunnel) - neighbours:
        netlink.neigh("del", dst=address, lladdr=mac, ifindex=tunnel)
    for mac, machine in _known_forwarding(netlink, tunnel) - forwarding:
        netlink.fdb("del", ifindex=tunnel, lladdr=mac, dst=machine)
    for address, mac in neighbours:
        netlink.neigh("replace", dst=address, lladdr=mac, ifindex=tunnel, state=_PERMANENT)
    for mac, machine in forwarding - _known_forwarding(netlink, tunnel):
        netlink.fdb("append", ifindex=tunnel, lladdr=mac, dst=machine)


def _known_neighbours(netlink: IPRoute, tunnel: int) -> set[tuple[str, str]]:
    found = netlink.get_neighbours(family=2, ifindex=tunnel)
    pairs = ((one.get_attr("NDA_DST"), one.get_attr("NDA_LLADDR")) for one in found if one["ifindex"] == tunnel)
    return {(address, mac) for address, mac in pairs if mac}


def _known_forwarding(netlink: IPRoute, tunnel: int) -> set[tuple[str, str]]:
    found = netlink.fdb("dump")
    pairs = ((one.get_attr("NDA_LLADDR"), one.get_attr("NDA_DST")) for one in found if one["ifindex"] == tunnel)
    return {(mac, machine) for mac, machine in pairs if mac and machine}


def _tunnel_mac_of(subnet: str) -> str:
    return names.tunnel_mac(names.subnet(subnet))


def _routes(netlink: IPRoute, plan: NetworkPlan, made: Names) -> None:
    wanted = {} if plan.between == "none" else {near.subnet: near.address for near in plan.neighbours}
    for route in _our_routes(netlink, made):
        if f"{route.get_attr('RTA_DST')}/{route['dst_len']}" not in wanted:
            _delete_route(netlink, route)
    tunnel = find_link(netlink, made.tunnel)
    for subnet, machine in wanted.items():
        marks = {"proto": ROUTE_PROTOCOL, "priority": made.route_priority}
        if tunnel is None:
            netlink.route("replace", dst=subnet, gateway=machine, **marks)
        else:
            gateway = str(names.network(subnet)[0])
            netlink.route("replace", dst=subnet, gateway=gateway, oif=tunnel["index"], flags=["onlink"], **marks)


def _our_routes(netlink: IPRoute, made: Names) -> list[Any]:
    found = netlink.get_routes(family=2, proto=ROUTE_PROTOCOL)
    return [route for route in found if route.get_attr("RTA_PRIORITY") == made.route_priority]


def _delete_route(netlink: IPRoute, route: Any) -> None:
    destination = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
    try:
        netlink.route("del", dst=destination, proto=ROUTE_PROTOCOL, priority=route.get_attr("RTA_PRIORITY"))
    except NetlinkError as error:
        if error.code not in GONE:
            raise
