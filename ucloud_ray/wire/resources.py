"""What all resources of UCloud have in common: owner and permissions (`spec` models 3)."""

from __future__ import annotations

from pydantic import Field

from ucloud_ray.wire.common import Model


class ResourceOwner(Model):
    created_by: str = ""
    """User name; `_ucloud` for the system."""
    project: str | None = None
    """Project id; None is the creator's own workspace."""


class AclEntity(Model):
    type: str
    """`project_group` or `user`."""
    project_id: str | None = None
    group: str | None = None
    username: str | None = None


class ResourceAclEntry(Model):
    entity: AclEntity
    permissions: list[str] = Field(default_factory=list)


class ResourcePermissions(Model):
    myself: list[str] = Field(default_factory=list)
    """`READ`, `EDIT`, `ADMIN`, `PROVIDER`: what the caller may do."""
    others: list[ResourceAclEntry] | None = None
    """None unless asked for."""


class UpdatedAcl(Model):
    """The end user's change of permissions."""

    id: str
    added: list[ResourceAclEntry] = Field(default_factory=list)
    deleted: list[AclEntity] = Field(default_factory=list)
