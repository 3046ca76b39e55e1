"""What the composition root hands to the cluster: how actors build, in their own process, what is not ours to name.

All of it crosses process borders by pickling, so factories are module-level functions or partials of such.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runtimes.driver import Driver
from runtimes.network.plan import NetworkPlan
from runtimes.types import Capabilities
from ucloud_ray.control.requests import Requests
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.domain.job import Backend

if TYPE_CHECKING:
    from ucloud_ray.cluster.ray_cluster import RayCluster


class MachineNetwork(Protocol):
    """`runtimes.network.node_network.NodeNetwork`."""

    @property
    def applied(self) -> str | None: ...

    async def possible(self) -> Capabilities: ...

    async def apply(self, plan: NetworkPlan) -> None: ...

    async def recall(self, name: str) -> str | None: ...

    async def tidy(self, name: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What the cluster side needs to know."""

    namespace: str
    logs_dir: Path
    """Of the private logs; `{host}` stands for the machine (`settings.of_host`)."""
    drivers: tuple[str, ...]
    """Drivers that every machine is asked for, by name."""
    driver_of: Callable[[str, str], Driver]
    """The driver of that name, for the machine of that name."""
    network_of: Callable[[], MachineNetwork] | None = None
    """What sets up the network of the machine that it is called on; None: no machine has one."""
    network_name: str = ""
    """`NetworkPlan.name`."""
    replicas_per_actor: int = 1
    warm_replica_actors: int = 4
    log_max_bytes: int = 64 * 1024 * 1024
    """Of a private log that its user does not see any more (LOG-16)."""
    sample_usage: bool = True
    """Whether what tasks use is kept (W15)."""

    driver_for_backend: tuple[tuple[Backend, str], ...] = (
        (Backend.DOCKER, "docker"),
        (Backend.NATIVE, "native"),
    )

    def driver(self, backend: Backend) -> str:
        return dict(self.driver_for_backend)[backend]


@dataclass(frozen=True, slots=True)
class Built:
    """A supervisor with everything that must be closed with it."""

    supervisor: Supervisor
    requests: Requests
    close: Callable[[], Awaitable[None]]


BuildSupervisor = Callable[["RayCluster"], Awaitable[Built]]
"""Opens the store and the Core client around a cluster. Raises one-line errors that tell what to do."""
