"""The node agent: one actor per machine. It tells what can run there, sets up the network (D14), serves the logs and
terminals of what runs (D8).

Made by the supervisor for every machine with our label. Zero CPU in Ray's books; killing it costs followers their
connection and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import psutil
import ray
import structlog

from runtimes.abilities import ListsTasks, OpensTerminals
from runtimes.errors import DriverError, RuntimeUnavailable, StartFailed
from runtimes.network.plan import NetworkPlan
from runtimes.terminals import Terminal, TerminalSize
from runtimes.types import Capabilities, FoundTask, TaskId
from ucloud_ray.cluster.factories import ClusterSettings, MachineNetwork
from ucloud_ray.control.log_janitor import LogJanitor
from ucloud_ray.control.relay import Relay
from ucloud_ray.control.terminal_relay import TerminalRelay
from ucloud_ray.settings import of_host

log = structlog.get_logger(__name__)

NO_NETWORK = Capabilities(available=False, reason="The network of containers is switched off: network.mode is none.")


@dataclass(frozen=True, slots=True)
class Described:
    """What a machine says of itself."""

    drivers: dict[str, Capabilities]
    relay: tuple[str, int]
    network: Capabilities
    """Whether containers can have a network here (D14)."""
    network_plan: str | None
    """Digest of the plan that is in force."""
    addresses: tuple[str, ...]
    """Every IPv4 address of the machine but loopback."""


class NodeAgent:
    async def __init__(  # type: ignore[misc]  # Ray awaits the constructor of an asyncio actor
        self, host: str, settings: ClusterSettings, relay_key: bytes
    ) -> None:
        self._drivers = {name: settings.driver_of(host, name) for name in settings.drivers}
        self._openers = {name: driver for name, driver in self._drivers.items() if isinstance(driver, OpensTerminals)}
        self._network = settings.network_of() if settings.network_of else None
        self._network_name = settings.network_name
        self._address = ray.util.get_node_ip_address()
        logs_dir = of_host(settings.logs_dir, host)
        self._relay = Relay(logs_dir, relay_key, TerminalRelay(self._open_terminal))
        self._port = await self._relay.start(self._address)
        janitor = LogJanitor(logs_dir, settings.log_max_bytes)
        self._janitor = asyncio.create_task(janitor.run(), name="janitor of logs")
        self._cleaning = asyncio.create_task(self._end_abandoned_terminals(), name="abandoned terminals")

    async def describe(self) -> Described:
        """Try every driver (`Driver.capabilities` never raises)."""
        network, *answers = await asyncio.gather(
            self._try_network(), *(driver.capabilities() for driver in self._drivers.values())
        )
        return Described(
            dict(zip(self._drivers, answers, strict=True)),
            (self._address, self._port),
            network,
            await self._network_plan() if network.available else None,
            _own_addresses(),
        )

    async def list_tasks(self, drivers: tuple[str, ...], provider_id: str) -> list[tuple[str, FoundTask]]:
        """Driver and task of ours, of these drivers (ENV-59). Raises driver errors."""
        listing = {name: driver for name in drivers if isinstance(driver := self._drivers[name], ListsTasks)}
        found = await asyncio.gather(*(driver.list_tasks(provider_id) for driver in listing.values()))
        return [(name, task) for name, tasks in zip(listing, found, strict=True) for task in tasks]

    async def apply_network(self, plan: NetworkPlan) -> None:
        """Raises driver errors."""
        if self._network is None:
            raise RuntimeUnavailable(NO_NETWORK.reason)
        await self._network.apply(plan)

    async def _open_terminal(self, driver: str, task: TaskId, size: TerminalSize) -> Terminal:
        """Raises driver errors."""
        if driver not in self._openers:
            raise StartFailed("Jobs of this kind have no terminals.")
        return await self._openers[driver].open_terminal(task, size)

    async def _end_abandoned_terminals(self) -> None:
        """Those of our predecessor, whose callers have lost their connection with it."""
        for name, driver in self._openers.items():
            if ended := await driver.end_abandoned_terminals():
                log.info("ended terminals that nobody sees", driver=name, count=ended)

    async def _try_network(self) -> Capabilities:
        return NO_NETWORK if self._network is None else await self._network.possible()

    async def _network_plan(self) -> str | None:
        """What the kernel says, not what we remember: somebody else may have changed it."""
        if self._network is None:
            return None
        await self._tidy(self._network)
        try:
            return await self._network.recall(self._network_name)
        except DriverError as problem:
            log.warning("the rules in force cannot be read", problem=str(problem))
            return None

    async def _tidy(self, network: MachineNetwork) -> None:
        """What cannot be taken away now is found again with the next look."""
        try:
            removed = await network.tidy(self._network_name)
        except DriverError as problem:
            log.warning("the bridge of containers cannot be tidied", problem=str(problem))
            return
        if removed:
            log.info("devices that Docker left on the bridge were removed", devices=removed)


def _own_addresses() -> tuple[str, ...]:
    found = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
    texts = {address.address for address in found if address.family is socket.AF_INET}
    return tuple(sorted(text for text in texts if not text.startswith("127.")))
