"""What the network of one machine shall be like (D14). Plain data: the control plane makes it, `NodeNetwork` acts.

A plan is whole, never a difference: applying it twice changes nothing, and applying the newest one is all that a
restart of anything needs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another machine of the cluster whose bridge is to be reachable from ours."""

    subnet: str
    """Of its bridge, `10.83.2.0/24`."""
    address: str
    """Of the machine in the cluster's own network."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Everything that a machine must know. Addresses are IPv4 (ENV-46)."""

    name: str
    """Short and unique on the machine; bridge, tables and devices are called after it. At most 8 of `[a-z0-9]`."""
    subnet: str
    """Of this machine's bridge; its first address is the bridge's own."""
    range: str
    """Of all bridges of the cluster together."""
    between: Literal["vxlan", "routes", "none"] = "vxlan"
    """How bridges reach each other: a VXLAN of ours, routes over a network that all machines share, or the operator's
    own routing."""
    neighbours: tuple[Neighbour, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Who may talk to whom, in both directions: pairs of addresses of which at least one is on this machine. Whoever
    is not in a pair with another task cannot reach it (ENV-44, ENV-52)."""
    outbound: tuple[str, ...] = ("0.0.0.0/0",)
    """What tasks may reach outside of the cluster; empty: nothing."""
    denied: tuple[str, ...] = ()
    """What they may never reach, whatever `outbound` says: machines of the cluster, the store, metadata services."""
    address: str | None = None
    """Of this machine in the cluster's own network, the source of its tunnel; None: as the machine's routes say."""
    vxlan_id: int = 8383
    """Tells two clusters on one physical network apart."""
    vxlan_port: int = 8483
    """UDP; not the usual 4789, which Swarm and others take."""

    @property
    def digest(self) -> str:
        """The same for plans that mean the same, in every process: 16 hexadecimal digits."""
        content = asdict(self) | {
            "neighbours": sorted((near.subnet, near.address) for near in self.neighbours),
            "pairs": sorted(tuple(sorted(pair)) for pair in self.pairs),
            "outbound": sorted(self.outbound),
            "denied": sorted(self.denied),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
