"""Frames as no honest program sends them, in hexadecimal, for `network_probe frame`."""

from __future__ import annotations

import socket
import struct

_DISCARD = 9
"""Where nobody listens: an answer to a forged datagram must not start a conversation."""


def udp_frame(macs: tuple[str, str], addresses: tuple[str, str], port: int, content: bytes = b"forged") -> str:
    """A frame for `frame`: link and network addresses of sender and receiver, a UDP datagram without checksum."""
    udp = struct.pack("!4H", _DISCARD, port, 8 + len(content), 0) + content
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    ends = b"".join(map(socket.inet_aton, addresses))
    total = sum(struct.unpack("!10H", head + ends))
    total = (total & 0xFFFF) + (total >> 16)
    packet = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ends + udp
    return (_link_header(macs, 0x0800) + packet).hex()


def arp_frame(macs: tuple[str, str], claimed: str, told: str, link: str | None = None) -> str:
    """An answer nobody asked for: `claimed` is at the sender, or at `link`."""
    sender = bytes.fromhex((link or macs[0]).replace(":", "")) + socket.inet_aton(claimed)
    receiver = bytes.fromhex(macs[1].replace(":", "")) + socket.inet_aton(told)
    return (_link_header(macs, 0x0806) + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + sender + receiver).hex()


def _link_header(macs: tuple[str, str], kind: int) -> bytes:
    sender, receiver = (bytes.fromhex(mac.replace(":", "")) for mac in macs)
    return receiver + sender + struct.pack("!H", kind)
