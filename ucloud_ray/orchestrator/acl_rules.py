"""What a change of permissions may say (end-user-api 8). Pure; for jobs and drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.orchestrator.access import EDIT, READ
from ucloud_ray.orchestrator.directory import Directory, group_key, group_of
from ucloud_ray.orchestrator.errors import BadRequest, Forbidden
from ucloud_ray.wire.resources import AclEntity, UpdatedAcl

_GRANTABLE = frozenset({READ, EDIT})


def check_acl(item: UpdatedAcl, directory: Directory) -> None:
    """What can be said without looking at the resource. Raises `Forbidden` or `BadRequest`."""
    for entity in _entities(item):
        if entity.type == "user" and entity.username and "\0" not in entity.username and entity.username[0] != "_":
            continue
        if entity.type != "project_group" or not directory.has_group(entity.project_id or "", entity.group or ""):
            raise Forbidden("Bad ACL update supplied: there is no such user or group")
    if any(not set(entry.permissions) <= _GRANTABLE for entry in item.added):
        raise BadRequest("permissions: only READ and EDIT can be given to others")


def check_groups(item: UpdatedAcl, project: str | None) -> None:
    """Rights are given to groups of the resource's own project only. Raises `Forbidden`."""
    if any(entity.type == "project_group" and entity.project_id != project for entity in _entities(item)):
        raise Forbidden("Bad ACL update supplied: the group is not of the project that owns this")


def key_of(entity: AclEntity) -> str:
    """Under which its rights are kept."""
    if entity.type == "project_group":
        return group_key(entity.project_id or "", entity.group or "")
    return entity.username or ""


def entries(grants: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Rights as JSON (models 3)."""
    return [{"entity": _entity(key), "permissions": list(given)} for key, given in grants.items()]


def _entity(key: str) -> dict[str, str]:
    group = group_of(key)
    if group is None:
        return {"type": "user", "username": key}
    return {"type": "project_group", "projectId": group[0], "group": group[1]}


def _entities(item: UpdatedAcl) -> list[AclEntity]:
    return [entry.entity for entry in item.added] + item.deleted
