"""What conversion must know of this provider's configuration: its machines, its drives and its policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Protocol

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.settings import ProductSettings, Settings
from ucloud_ray.wire.common import ProductReference

GIGABYTE = 10**9
"""Decimal (SCH-1, ENV-36)."""


class Catalogue(Protocol):
    """Asked by `convert`; tests may bring their own."""

    @property
    def provider_id(self) -> str: ...

    @property
    def accepts_restart_on_exit(self) -> bool:
        """LC-28."""
        ...

    @property
    def drive_titles(self) -> Mapping[str, str]:
        """Drive id to title (ENV-12)."""
        ...

    def machine(self, product: ProductReference) -> Machine | None:
        """None for what is not sold here (SCH-4)."""
        ...

    def native_path(self, ucloud_path: str) -> str | None:
        """Where a normalised UCloud path is on the provider's machines (INV-30); None if the drive is unknown."""
        ...


class ConfiguredCatalogue:
    """The configuration file's answers."""

    def __init__(self, settings: Settings) -> None:
        self.provider_id = settings.provider.id
        self.accepts_restart_on_exit = settings.policy.restart_on_exit == "accept"
        self.drive_titles = {drive.id: drive.title for drive in settings.drives}
        self._roots = {drive.id: PurePosixPath(drive.path.absolute()) for drive in settings.drives}
        self._products = {(product.name, product.category): product for product in settings.products}

    def machine(self, product: ProductReference) -> Machine | None:
        found = self._products.get((product.id, product.category))
        return machine_of(found, self.provider_id) if found is not None else None

    def native_path(self, ucloud_path: str) -> str | None:
        drive, _, inside = ucloud_path.removeprefix("/").partition("/")
        root = self._roots.get(drive)
        return None if root is None else str(root / inside)


def machine_of(product: ProductSettings, provider_id: str) -> Machine:
    """The size of a configured product in our units (SCH-2)."""
    return Machine(
        ProductId(product.name, product.category, provider_id),
        cpu_milli=round(product.cpu * 1000),
        memory_bytes=round(product.memory_in_gigs * GIGABYTE),
        gpu=product.gpu,
        cpu_model=product.cpu_model,
        memory_model=product.memory_model,
        gpu_model=product.gpu_model,
    )
