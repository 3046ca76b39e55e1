"""The node agent: one actor per machine that tells what can run there and serves its log relay (D8).

Made by the supervisor for every machine with our label. Zero CPU in Ray's books; killing it costs followers their
connection and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ray

from runtimes.driver import Driver
from runtimes.types import Capabilities
from ucloud_ray.control.relay import LogRelay


@dataclass(frozen=True, slots=True)
class Described:
    """What a machine says of itself."""

    drivers: dict[str, Capabilities]
    relay: tuple[str, int]


class NodeAgent:
    async def __init__(  # type: ignore[misc]  # Ray awaits the constructor of an asyncio actor
        self, drivers: tuple[str, ...], driver_of: Callable[[str], Driver], logs_dir: Path, relay_key: bytes
    ) -> None:
        self._drivers = {name: driver_of(name) for name in drivers}
        self._address = ray.util.get_node_ip_address()
        self._relay = LogRelay(logs_dir, relay_key)
        self._port = await self._relay.start(self._address)

    async def describe(self) -> Described:
        """Try every driver (`Driver.capabilities` never raises)."""
        answers = await asyncio.gather(*(driver.capabilities() for driver in self._drivers.values()))
        return Described(dict(zip(self._drivers, answers, strict=True)), (self._address, self._port))
