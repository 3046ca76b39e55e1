"""Talking to the kernel about devices, addresses and routes: the only file that opens pyroute2. Blocking."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from runtimes.errors import RuntimeUnavailable

GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV})
"""What the kernel says of that which is not there (any more)."""


@contextmanager
def kernel() -> Iterator[IPRoute]:
    """Raises `errors.RuntimeUnavailable` for whatever it refuses inside."""
    # A loop of asyncio's own kind: where uvloop is the policy, as in a Ray actor, it cannot read a netlink socket.
    loop = asyncio.SelectorEventLoop()
    try:
        with IPRoute(use_event_loop=loop) as netlink:
            yield netlink
    except (NetlinkError, OSError) as error:
        raise RuntimeUnavailable(f"The kernel refused a change of the network: {error}. Run as root.") from error
    finally:
        loop.close()


def find_link(netlink: IPRoute, name: str) -> Any | None:
    """The device of that name."""
    index = next(iter(netlink.link_lookup(ifname=name)), None)
    return None if index is None else netlink.get_links(index)[0]


def delete_link(netlink: IPRoute, name: str) -> None:
    """None there is success."""
    found = find_link(netlink, name)
    if found is not None:
        delete_index(netlink, found["index"])


def delete_index(netlink: IPRoute, index: int) -> None:
    """One that is gone meanwhile is success."""
    try:
        netlink.link("del", index=index)
    except NetlinkError as error:
        if error.code not in GONE:
            raise
