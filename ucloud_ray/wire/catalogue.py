"""What conversion must know of this provider's configuration: its machines, its drives and its policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Protocol

from ucloud_ray.domain.folder_names import HOME_TITLE, HomeNames, home_of
from ucloud_ray.domain.job import Machine, Owner
from ucloud_ray.drive_owners import home_keys, key_of
from ucloud_ray.machines import machine_of
from ucloud_ray.settings import Settings
from ucloud_ray.wire.common import ProductReference


class Catalogue(Protocol):
    """Asked by `convert`; tests may bring their own."""

    @property
    def provider_id(self) -> str: ...

    @property
    def accepts_restart_on_exit(self) -> bool:
        """LC-28."""
        ...

    def drive_titles(self, owner: Owner) -> Mapping[str, str]:
        """Drive id to title (ENV-12), as far as this workspace may use them."""
        ...

    def machine(self, product: ProductReference) -> Machine | None:
        """None for what is not sold here (SCH-4)."""
        ...

    def native_path(self, ucloud_path: str, owner: Owner) -> str | None:
        """Where a normalised UCloud path is on the provider's machines (INV-30); None if there is no such drive.
        Whether this workspace may use it is looked at when the job is accepted."""
        ...


class ConfiguredCatalogue:
    """The configuration file's answers."""

    def __init__(self, settings: Settings) -> None:
        self.provider_id = settings.provider.id
        self.accepts_restart_on_exit = settings.policy.restart_on_exit == "accept"
        self._titles = {drive.id: drive.title for drive in settings.drives}
        self._drives = {drive.id: PurePosixPath(drive.path.absolute()) for drive in settings.drives}
        self._with_home = {key_of(drive) for drive in settings.drives}
        self._homes = PurePosixPath(settings.data_dir.absolute(), "drives") if settings.policy.automatic_homes else None
        self._products = {(product.name, product.category): product for product in settings.products}

    def machine(self, product: ProductReference) -> Machine | None:
        found = self._products.get((product.id, product.category))
        return machine_of(found, self.provider_id) if found is not None else None

    def drive_titles(self, owner: Owner) -> Mapping[str, str]:
        home = self._automatic_home(owner)
        return self._titles if home is None else {**self._titles, home.drive_id: HOME_TITLE}

    def native_path(self, ucloud_path: str, owner: Owner) -> str | None:
        drive, _, inside = ucloud_path.removeprefix("/").partition("/")
        root = self._root(drive, owner)
        return None if root is None else str(root / inside)

    def _root(self, drive: str, owner: Owner) -> PurePosixPath | None:
        if drive in self._drives:
            return self._drives[drive]
        home = self._automatic_home(owner)
        if home is None or self._homes is None or home.drive_id != drive:
            return None
        return self._homes / home.folder

    def _automatic_home(self, owner: Owner) -> HomeNames | None:
        """Of whoever has no drive of their own in the configuration."""
        known = not self._with_home.isdisjoint(home_keys(owner))
        return None if self._homes is None or known else home_of(owner, self._drives)
