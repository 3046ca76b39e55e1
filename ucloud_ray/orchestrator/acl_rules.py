"""What a change of permissions may say (end-user-api 8). Pure; for jobs and drives."""

from __future__ import annotations

from ucloud_ray.orchestrator.access import EDIT, READ
from ucloud_ray.orchestrator.errors import BadRequest, Forbidden
from ucloud_ray.wire.resources import AclEntity, UpdatedAcl

_GRANTABLE = frozenset({READ, EDIT})


def check_acl(item: UpdatedAcl) -> None:
    """Raises `Forbidden` or `BadRequest`."""
    entities = [entry.entity for entry in item.added] + item.deleted
    # There are no projects here, so a group of one cannot be known.
    if any(entity.type != "user" or not entity.username or "\0" in entity.username for entity in entities):
        raise Forbidden("Bad ACL update supplied: permissions can be given to users only")
    if any(not set(entry.permissions) <= _GRANTABLE for entry in item.added):
        raise BadRequest("permissions: only READ and EDIT can be given to others")


def username_of(entity: AclEntity) -> str:
    return entity.username or ""
