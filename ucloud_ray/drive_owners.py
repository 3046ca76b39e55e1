"""Whose a configured drive is. For `wire.catalogue`, which checks paths, and `control.drives`, which finds them."""

from __future__ import annotations

from ucloud_ray.domain.job import Owner
from ucloud_ray.settings import DriveSettings

Key = tuple[str, str | None]
"""Workspace and, in a project, the member whose own files a drive holds; None: everybody's of the workspace (ENV-2)."""


def key_of(drive: DriveSettings) -> Key:
    owner = drive.owner
    member = owner.username if owner.type == "project" else None
    return Owner(owner.username or "", owner.project_id).workspace, member


def home_keys(owner: Owner) -> tuple[Key, Key]:
    """Of the drives that can be this owner's home, the better one first."""
    return (owner.workspace, owner.created_by), (owner.workspace, None)
