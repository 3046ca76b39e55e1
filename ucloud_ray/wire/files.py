"""What users ask about files of drives, and what the Core hands on of it (UCloud's `/api/files`; docs/files.md).

The Core names the drive of each path in `resolvedCollection`, whose owner is all that a provider reads of it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ucloud_ray.wire.common import Model

ConflictPolicy = Literal["REPLACE", "RENAME", "REJECT"]
"""What becomes of a name that is taken."""


class FileItem(Model):
    """Of every bulk call but `move`."""

    id: str
    """UCloud path."""
    conflict_policy: ConflictPolicy = "REJECT"
    fingerprint: str | None = None
    """Ours: of an upload; the same one for the same file of the same user goes on where it was cut."""


class MoveItem(Model):
    old_id: str
    new_id: str
    conflict_policy: ConflictPolicy = "REJECT"


class CollectionOwner(Model):
    created_by: str
    project: str | None = None


class Collection(Model):
    """A drive."""

    owner: CollectionOwner


class ResolvedFileItem(FileItem):
    resolved_collection: Collection


class ResolvedMoveItem(MoveItem):
    resolved_old_collection: Collection
    resolved_new_collection: Collection


class Browse(Model):
    path: str | None = None
    items_per_page: int | None = None
    next: str | None = None
    sort_by: str | None = None
    sort_direction: str | None = None
    flags: dict[str, Any] = Field(default_factory=dict)


class BrowseRequest(Model):
    resolved_collection: Collection
    browse: Browse


class Retrieve(Model):
    id: str


class RetrieveRequest(Model):
    resolved_collection: Collection
    retrieve: Retrieve
