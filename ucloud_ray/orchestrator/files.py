"""Files of drives: finds out whether the caller may, and lets the provider do it. The bytes go past us.

All drives that a request names are checked before the provider hears of any of its items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ucloud_ray.orchestrator.access import EDIT, READ
from ucloud_ray.orchestrator.drives import SharedDrives
from ucloud_ray.orchestrator.errors import BadGateway, BadRequest
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User

_COLLECTION = "resolvedCollection"


class Files:
    def __init__(self, drives: SharedDrives, provider: ProviderClient) -> None:
        self._drives = drives
        self._provider = provider

    async def browse(self, user: User, path: str, page: Mapping[str, Any]) -> dict[str, Any]:
        """`PageV2` of `UFile`. Raises `NotFound`, and what the provider answers."""
        drive = await self._drives.reach(user, _drive(path), READ)
        found = await self._provider.post(
            "files/browse", {_COLLECTION: drive, "browse": {"path": path, **page}}, user.name
        )
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            raise BadGateway("Bad response from provider")
        return {**found, "items": [_complete(file, drive) for file in found["items"]]}

    async def retrieve(self, user: User, path: str) -> dict[str, Any]:
        drive = await self._drives.reach(user, _drive(path), READ)
        found = await self._provider.post("files/retrieve", {_COLLECTION: drive, "retrieve": {"id": path}}, user.name)
        return _complete(found, drive)

    async def each(
        self, user: User, call: str, items: Sequence[Mapping[str, Any]], needed: str = EDIT, method: str = "POST"
    ) -> list[Any]:
        """A bulk call of the same name at the provider."""
        content = [{**item, _COLLECTION: await self._drives.reach(user, _drive(item["id"]), needed)} for item in items]
        return await self._provider.bulk(call, content, user.name, method)

    async def move(self, user: User, items: Sequence[Mapping[str, Any]]) -> list[Any]:
        content = [
            {
                **item,
                "resolvedOldCollection": await self._drives.reach(user, _drive(item["oldId"]), EDIT),
                "resolvedNewCollection": await self._drives.reach(user, _drive(item["newId"]), EDIT),
            }
            for item in items
        ]
        return await self._provider.bulk("files/move", content, user.name)


def _drive(path: str) -> str:
    drive = path.lstrip("/").partition("/")[0]
    if not path.startswith("/") or not drive:
        raise BadRequest("A path must be like /drive/folder/file.")
    return drive


def _complete(file: Any, drive: Mapping[str, Any]) -> dict[str, Any]:
    """With what the provider does not know."""
    if not isinstance(file, dict):
        raise BadGateway("Bad response from provider")
    return {
        **file,
        "owner": drive["owner"],
        "permissions": drive["permissions"],
        "specification": {"collection": drive["id"], "product": drive["specification"]["product"]},
        "updates": [],
    }
