"""Who may use which drive, asked of the Core (`control.ports.Access`; control-api 10.4, models 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.control.ports import AccessUnknown
from ucloud_ray.core_client.client import CoreClient
from ucloud_ray.core_client.errors import CoreError
from ucloud_ray.domain.job import Owner
from ucloud_ray.domain.sharing import Share

AT_ONCE = 100
"""Ids in one question; an address has an end."""


class CoreAccess:
    def __init__(self, core: CoreClient) -> None:
        self._core = core

    async def shares(self, drives: Sequence[str]) -> Mapping[str, Share]:
        """See the port."""
        found: dict[str, Share] = {}
        try:
            for start in range(0, len(drives), AT_ONCE):
                wanted = drives[start : start + AT_ONCE]
                async for drive in self._core.drives(wanted):
                    if drive["id"] in wanted:
                        found[drive["id"]] = _share(drive)
        except CoreError as problem:
            raise AccessUnknown(str(problem)) from None
        except (KeyError, TypeError, AttributeError):
            raise AccessUnknown("UCloud/Core sent a drive of an unknown shape.") from None
        return found


def _share(drive: Mapping[str, Any]) -> Share:
    """Lists that are empty may be null."""
    owner, title = drive["owner"], drive["specification"]["title"]
    users: dict[str, frozenset[str]] = {}
    projects: dict[str, frozenset[str]] = {}
    for entry in (drive.get("permissions") or {}).get("others") or []:
        entity, given = entry["entity"], frozenset(entry.get("permissions") or ())
        if entity["type"] == "user":
            users[entity["username"]] = users.get(entity["username"], frozenset()) | given
        elif entity["type"] == "project_group":
            projects[entity["projectId"]] = projects.get(entity["projectId"], frozenset()) | given
    return Share(title, Owner(owner.get("createdBy") or "", owner.get("project")), users, projects)
