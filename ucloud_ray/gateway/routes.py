"""Which ticket leads where, remembered for moments, and the connections that are kept for it.

The supervisor is asked again every two seconds of use, so that a page ends with its job (IS-5).
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections import OrderedDict
from typing import Protocol

from ucloud_ray.control.errors import Refused
from ucloud_ray.control.service import PortSource
from ucloud_ray.gateway import tunnel
from ucloud_ray.gateway.upstream import Upstream

TRUSTED_SECONDS = 2.0
MOST_ROUTES = 2_000


class PortService(Protocol):
    """As much of `control.service.JobService` as this needs."""

    async def redeem_port(self, ticket: str) -> PortSource: ...


class Route:
    """To one port of one rank."""

    def __init__(self, service: PortService, ticket: str) -> None:
        self._service = service
        self._ticket = ticket
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._source: PortSource | None = None
        self.upstream = Upstream(self.connect)

    async def source(self) -> PortSource:
        """Where it leads now. Raises `NoSuchSession` once the job does not run any more, `NotReady`."""
        async with self._asking:
            if self._source is None or time.monotonic() - self._asked_at > TRUSTED_SECONDS:
                self._source = await self._service.redeem_port(self._ticket)
                self._asked_at = time.monotonic()
            return self._source

    async def connect(self) -> socket.socket:
        """A connection of its own with the port. Raises `NotListening`, `NoSuchSession`, `NotReady`."""
        return await tunnel.connect(await self.source())


class Routes:
    def __init__(self, service: PortService) -> None:
        self._service = service
        self._routes: OrderedDict[bytes, Route] = OrderedDict()

    async def find(self, ticket: str) -> tuple[Route, PortSource]:
        """Raises `NoSuchSession`, `NotReady`."""
        key = hashlib.sha256(ticket.encode(errors="replace")).digest()
        route = self._routes.get(key) or Route(self._service, ticket)
        try:
            source = await route.source()
        except Refused:
            await self._drop(key)
            raise
        self._routes[key] = route
        self._routes.move_to_end(key)
        if len(self._routes) > MOST_ROUTES:
            await self._drop(next(iter(self._routes)))
        return route, source

    async def close(self) -> None:
        for key in list(self._routes):
            await self._drop(key)

    async def _drop(self, key: bytes) -> None:
        route = self._routes.pop(key, None)
        if route is not None:
            await route.upstream.close()
