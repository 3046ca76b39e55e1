"""Who may do what with a drive, and which files a job may have (end-user-api 4.2, ENV-16). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ucloud_ray.domain.folder_names import HOME_TITLE, home_of
from ucloud_ray.domain.job import Owner
from ucloud_ray.drive_owners import home_keys, key_of
from ucloud_ray.orchestrator.access import EDIT, EVERYTHING, READ, granted
from ucloud_ray.orchestrator.acl_rules import entries
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.settings import DriveOwner, DriveSettings
from ucloud_ray.wire.jobs import JobSpecification
from ucloud_ray.wire.values import FileValue

Grants = Mapping[str, Sequence[str]]
"""User to permissions."""
STORAGE = "storage"
"""Name and category of the product that drives are of."""


def permissions(user: User, drive: DriveSettings, grants: Grants) -> tuple[str, ...]:
    """Whoever owns it, those who lead the project that does, and administrators everything; others what they were
    given."""
    if user.is_admin or (drive.owner.type == "user" and drive.owner.username == user.name):
        return EVERYTHING
    return EVERYTHING if user.membership.leads(drive.owner.project_id) else granted(user, grants)


def own_home(username: str, drives: Iterable[DriveSettings]) -> DriveSettings | None:
    """The drive that the provider makes for a user who has none in the configuration (ENV-2); where it lies, the
    provider knows."""
    configured = list(drives)
    owner = Owner(username, None)
    if not {key_of(drive) for drive in configured}.isdisjoint(home_keys(owner)):
        return None
    names = home_of(owner, {drive.id for drive in configured})
    return DriveSettings(names.drive_id, HOME_TITLE, Path(names.folder), DriveOwner("user", username))


def drives_named(spec: JobSpecification) -> set[str]:
    """Ids of the drives that the specification's files are said to be on."""
    return {_drive(value) for value in _files(spec)}


def with_rights(spec: JobSpecification, rights: Callable[[str], Sequence[str] | None]) -> JobSpecification:
    """Read-only wherever the user may not write; what the user wants read-only stays so.

    `rights`: of a drive; None for one that is not known here, which is the provider's to judge. Raises `BadRequest`.
    """

    def with_right(value: Any, where: str) -> Any:
        given = rights(_drive(value)) if isinstance(value, FileValue) else None
        if given is None:
            return value
        if READ not in given:
            raise BadRequest(f"{where}: the file {value.path} does not exist, or you may not use it")
        return value if EDIT in given else value.model_copy(update={"read_only": True})

    parameters = spec.parameters and {
        name: with_right(value, f"parameters.{name}") for name, value in spec.parameters.items()
    }
    resources = spec.resources and [
        with_right(value, f"resources[{index}]") for index, value in enumerate(spec.resources)
    ]
    return spec.model_copy(update={"parameters": parameters, "resources": resources})


def _files(spec: JobSpecification) -> Iterator[FileValue]:
    for value in [*(spec.parameters or {}).values(), *(spec.resources or [])]:
        if isinstance(value, FileValue):
            yield value


def _drive(file: FileValue) -> str:
    return file.path.lstrip("/").partition("/")[0]


def shown(
    drive: DriveSettings, provider: str, created_at: int, myself: Sequence[str], others: Grants | None
) -> dict[str, Any]:
    """As JSON (models 3). `others` None: they were not asked for."""
    owner = drive.owner
    return {
        "id": drive.id,
        "createdAt": created_at,
        "owner": {"createdBy": owner.username or "_ucloud", "project": owner.project_id},
        "permissions": {"myself": list(myself), "others": None if others is None else entries(others)},
        "specification": {
            "title": drive.title,
            "product": {"id": STORAGE, "category": STORAGE, "provider": provider},
        },
        "status": {"resolvedSupport": None, "resolvedProduct": None, "preferredDrive": False},
        "updates": [],
    }
