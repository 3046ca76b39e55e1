"""The firewall of one machine's bridge, as a script for `nft`. Pure: a plan in, text out.

    task ──▶ task of the same machine     table bridge: pairs, and nobody under another's address
    task ──▶ this machine                 table inet, `arriving` and `to_machine`: answers only
    task ──▶ task of another machine      table inet, `leaving` and `entering`: pairs, and only through the tunnel
    task ──▶ elsewhere                    table inet, `leaving`: not `denied`, and in `outbound`; behind our address
    elsewhere ──▶ task                    table inet, `entering`: answers only
    this machine ──▶ task                 open: relay and gateway connect to tasks

A drop here is final, whatever other tables say. Traffic between tasks never passes as part of an established
connection, so a pair that is revoked dies at once. The bridge table goes by addresses and not by the bridge's name,
because many kernels cannot match that (`NFT_BRIDGE_META`); what our subnet's addresses appear in is our bridge.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace

from runtimes.network import names
from runtimes.network.names import Names
from runtimes.network.plan import NetworkPlan

_METADATA = "169.254.0.0/16"
FAMILIES = ("bridge", "inet")
MARK = "plan_"
TUNNEL = "tunnel"
"""Chain that is only there where tasks of other machines come through a tunnel."""


def whole(plan: NetworkPlan) -> str:
    """Replaces both tables in one transaction. Raises `errors.InvalidTask` for a plan with wrong addresses."""
    table = Names(plan.name).table
    bodies = {"bridge": _bridge_table(plan), "inet": _inet_table(plan)}
    return "".join(
        f"table {family} {table} {{ }}\ndelete table {family} {table}\n"
        f"table {family} {table} {{\n{bodies[family]}  chain {mark(plan)} {{ }}\n}}\n"
        for family in FAMILIES
    )


def difference(old: NetworkPlan, new: NetworkPlan) -> str | None:
    """Turns the rules of `old` into those of `new`; None where more than the pairs differs."""
    if replace(old, pairs=()) != replace(new, pairs=()):
        return None
    before, after = ({tuple(sorted(pair)) for pair in plan.pairs} for plan in (old, new))
    added, removed = (_split(new.subnet, pairs) for pairs in (after - before, before - after))
    table = Names(new.name).table
    return "".join(
        _elements("add", f"{family} {table}", added[family])
        + _elements("delete", f"{family} {table}", removed[family])
        + f"add chain {family} {table} {mark(new)}\ndelete chain {family} {table} {mark(old)}\n"
        for family in FAMILIES
    )


def gone(name: str) -> str:
    """Removes both tables; also fine when they do not exist."""
    table = Names(name).table
    return "".join(f"table {family} {table} {{ }}\ndelete table {family} {table}\n" for family in FAMILIES)


def trial(table: str) -> str:
    """Asks the kernel for everything that we use, and takes it back in the same transaction."""
    return (
        f"table bridge {table} {{\n"
        "chain a { type filter hook forward priority -300; arp saddr ip 10.0.0.1 drop; }\n}\n"
        f"table inet {table} {{\n"
        "chain a { type filter hook prerouting priority -150; fib daddr type local ct state established drop; }\n"
        "chain b { type nat hook postrouting priority srcnat; oifname lo masquerade; }\n}\n"
        f"delete table bridge {table}\ndelete table inet {table}\n"
    )


def mark(plan: NetworkPlan) -> str:
    """Name of an empty chain that says which plan is in force, for whoever comes after us."""
    return f"{MARK}{plan.digest}"


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the rules speak about, checked."""

    bridge: str
    subnet: ipaddress.IPv4Network
    range: ipaddress.IPv4Network
    tunnel: str
    """Device that other machines' tasks are behind; empty where it can be any."""


def _terms(plan: NetworkPlan) -> _Terms:
    made = Names(plan.name)
    tunnel = made.tunnel if plan.between == "vxlan" else ""
    return _Terms(made.bridge, names.subnet(plan.subnet), names.network(plan.range), tunnel)


def _bridge_table(plan: NetworkPlan) -> str:
    terms = _terms(plan)
    hosts = [host for host in terms.subnet.hosts() if host != names.gateway(terms.subnet)]
    owners = (f"{names.task_mac(host)} . {host}" for host in hosts)
    ours, first = f"ip saddr {terms.subnet}", names.task_mac(terms.subnet.network_address)
    mask = f"ff:ff:{terms.subnet.netmask.packed.hex(':')}"
    from_task = f"ether saddr & {mask} == {first}"
    sets = _set("owners", "ether_addr . ipv4_addr", owners) + _pairs(plan, "bridge")
    return f"""{sets}
  chain arriving {{
    type filter hook prerouting priority -300; policy accept;
    arp saddr ip {terms.subnet} arp saddr ether . arp saddr ip != @owners drop
    {ours} ether saddr . ip saddr != @owners drop
  }}
  chain forwarded {{
    type filter hook forward priority -300; policy accept;
    {from_task} goto between
    ip daddr {terms.subnet} goto between
  }}
  chain between {{
    arp saddr ip . arp daddr ip @pairs accept
    ip saddr . ip daddr @pairs accept
    drop
  }}
  chain detour {{
    type filter hook input priority -300; policy accept;
    {ours} ip daddr {terms.subnet} ip daddr != {names.gateway(terms.subnet)} drop
  }}
"""


def _inet_table(plan: NetworkPlan) -> str:
    terms = _terms(plan)
    out, into = (f'{word} "{terms.tunnel}" ' if terms.tunnel else "" for word in ("oifname", "iifname"))
    ranges = _ranges("denied", [_METADATA, *plan.denied]) + _ranges("outbound", plan.outbound)
    return f"""{_pairs(plan, "inet")}{ranges}
  chain arriving {{
    type filter hook prerouting priority -150; policy accept;
    iifname "{terms.bridge}" ip saddr != {terms.subnet} drop
    iifname "{terms.bridge}" fib daddr type != unicast ct state != {{ established, related }} drop
  }}
  chain forwarded {{
    type filter hook forward priority -10; policy accept;
    iifname "{terms.bridge}" oifname "{terms.bridge}" accept
    iifname "{terms.bridge}" goto leaving
    oifname "{terms.bridge}" goto entering
  }}
{_tunnel(terms)}  chain leaving {{
    {out}ip saddr . ip daddr @pairs accept
    ip daddr {terms.range} drop
    ip daddr @denied drop
    ip daddr @outbound accept
    drop
  }}
  chain entering {{
    ct state related accept
    {into}ip saddr . ip daddr @pairs accept
    ip saddr {terms.range} drop
    ct direction reply ct state established accept
    drop
  }}
{_input(plan, terms)}  chain masked {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {terms.subnet} ip daddr != {terms.range} oifname != "{terms.bridge}" masquerade
  }}
"""


def _input(plan: NetworkPlan, terms: _Terms) -> str:
    """Only our neighbours may put packets into the tunnel. Its number is looked at too, after eight bytes of UDP and
    four of VXLAN, because another cluster of the machine may use the same port."""
    machines = [str(names.address(near.address)) for near in plan.neighbours]
    ours = f"udp dport {plan.vxlan_port:d} @th,96,24 {plan.vxlan_id:d}"
    from_others = f"    {ours} ip saddr != @machines drop\n" if terms.tunnel else ""
    return f"""{_set("machines", "ipv4_addr", machines)}  chain to_machine {{
    type filter hook input priority -10; policy accept;
    iifname "{terms.bridge}" ct state != {{ established, related }} drop
{from_others}  }}
"""


def _tunnel(terms: _Terms) -> str:
    """It leads from bridge to bridge, and nowhere else."""
    if not terms.tunnel:
        return ""
    return f"""  chain {TUNNEL} {{
    type filter hook prerouting priority -150; policy accept;
    iifname "{terms.tunnel}" ip daddr {terms.subnet} ip daddr != {names.gateway(terms.subnet)} accept
    iifname "{terms.tunnel}" drop
  }}
"""


def _split(own: str, pairs: Iterable[tuple[str, ...]]) -> dict[str, set[str]]:
    """Pairs in both directions, by the table that judges them. Those of other machines concern us nowhere."""
    subnet = names.subnet(own)
    found: dict[str, set[str]] = {family: set() for family in FAMILIES}
    for one, other in pairs:
        ends = (names.address(one), names.address(other))
        here = sum(end in subnet for end in ends)
        if here:
            family = "bridge" if here == 2 else "inet"
            found[family] |= {f"{ends[0]} . {ends[1]}", f"{ends[1]} . {ends[0]}"}
    return found


def _pairs(plan: NetworkPlan, family: str) -> str:
    return _set("pairs", "ipv4_addr . ipv4_addr", _split(plan.subnet, plan.pairs)[family])


def _ranges(name: str, texts: Iterable[str]) -> str:
    return _set(name, "ipv4_addr; flags interval; auto-merge", [str(names.network(text)) for text in texts])


def _set(name: str, kind: str, elements: Iterable[str]) -> str:
    listed = sorted(elements)
    content = f" elements = {{ {', '.join(listed)} }};" if listed else ""
    return f"  set {name} {{ type {kind};{content} }}\n"


def _elements(verb: str, table: str, elements: set[str]) -> str:
    return f"{verb} element {table} pairs {{ {', '.join(sorted(elements))} }}\n" if elements else ""
