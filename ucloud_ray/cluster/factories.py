"""What the composition root hands to the cluster: how actors build, in their own process, what is not ours to name.

All of it crosses process borders by pickling, so factories are module-level functions or partials of such.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtimes.driver import Driver
from ucloud_ray.control.requests import Requests
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.domain.job import Backend

if TYPE_CHECKING:
    from ucloud_ray.cluster.ray_cluster import RayCluster


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What the cluster side needs to know."""

    namespace: str
    logs_dir: Path
    drivers: tuple[str, ...]
    """Drivers that every machine is asked for, by name."""
    driver_of: Callable[[str], Driver]
    replicas_per_actor: int = 1
    warm_replica_actors: int = 4

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
