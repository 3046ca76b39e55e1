"""What a machine's network is called, all of it from one short name, and how its addresses become link addresses.

Pure; used by everything in this folder and by the Docker driver.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass

from runtimes.errors import InvalidTask

_NAME = re.compile(r"[a-z0-9]{1,8}")
_SMALLEST, _LARGEST = 30, 18
ROUTE_PROTOCOL = 83
"""Marks our routes, together with their priority; `ip route` shows it as a number."""


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that is made on a machine for the network called `name`. Raises `errors.InvalidTask`."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidTask(f"{self.name!r} cannot name a network: at most 8 of a to z and 0 to 9.")

    @property
    def bridge(self) -> str:
        return f"br-{self.name}"

    @property
    def tunnel(self) -> str:
        return f"vx-{self.name}"

    @property
    def table(self) -> str:
        """One of this name in nftables' families `bridge` and `inet`."""
        return f"ucloud_ray_{self.name}"

    @property
    def docker(self) -> str:
        """Docker's name for it."""
        return f"ucloud-ray-{self.name}"

    @property
    def route_priority(self) -> int:
        """Of our routes and no others. So large that a route of the operator to the same place wins."""
        return 0x7000_0000 | zlib.crc32(self.name.encode()) & 0x00FF_FFFF


def subnet(text: str) -> ipaddress.IPv4Network:
    """A bridge's. Raises `errors.InvalidTask`."""
    found = network(text)
    if not _LARGEST <= found.prefixlen <= _SMALLEST:
        raise InvalidTask(f"The subnet {text} of a machine must be between /{_LARGEST} and /{_SMALLEST}.")
    return found


def network(text: str) -> ipaddress.IPv4Network:
    """Raises `errors.InvalidTask`."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as wrong:
        raise InvalidTask(f"{text!r} is no range of IPv4 addresses such as 10.83.0.0/16.") from wrong


def address(text: str) -> ipaddress.IPv4Address:
    """Raises `errors.InvalidTask`."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as wrong:
        raise InvalidTask(f"{text!r} is no IPv4 address.") from wrong


def gateway(of: ipaddress.IPv4Network) -> ipaddress.IPv4Address:
    """The bridge's own address."""
    return of[1]


def task_mac(of: ipaddress.IPv4Address) -> str:
    """Of the task with that address. The rules know it, so it cannot be left to Docker (whose old habit it is)."""
    return _mac(b"\x02\x42", of)


def tunnel_mac(of: ipaddress.IPv4Network) -> str:
    """Of the tunnel's end on the machine with that subnet: known to all others without asking."""
    return _mac(b"\x02\x58", of.network_address)


def _mac(prefix: bytes, of: ipaddress.IPv4Address) -> str:
    return (prefix + of.packed).hex(":")
