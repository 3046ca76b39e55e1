"""Who may use which drive, as both Cores write it (control-api 10.4, models 3)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ucloud_ray.control.ports import AccessUnknown
from ucloud_ray.core_client import CoreClient
from ucloud_ray.core_client.access import CoreAccess
from ucloud_ray.domain.job import Owner
from ucloud_ray.domain.sharing import Share
from ucloud_ray.settings import CoreSettings

BROWSE = "/api/files/collections/control/browse"


def drive(drive_id: str, **permissions: Any) -> dict[str, Any]:
    """As recorded (`observed/POST_files_collections`), in short."""
    return {
        "id": drive_id,
        "createdAt": 1795531575023,
        "owner": {"createdBy": "bob", "project": None},
        "permissions": {"myself": ["READ", "PROVIDER"], **permissions},
        "specification": {"title": "Data", "product": {"id": "storage", "category": "storage", "provider": "example"}},
    }


def entry(entity: dict[str, str], *permissions: str) -> dict[str, Any]:
    return {"entity": entity, "permissions": list(permissions)}


class Core:
    def __init__(self, *pages: Any, status: int = 200) -> None:
        self.pages = list(pages)
        self.status = status
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/providers/refresh":
            return httpx.Response(200, json={"responses": [{"accessToken": "token"}]})
        assert request.url.path == BROWSE
        self.asked.append(dict(request.url.params))
        return httpx.Response(self.status, content=json.dumps(self.pages.pop(0)))

    @property
    def access(self) -> CoreAccess:
        settings = CoreSettings(url="http://core", refresh_token="refresh")
        return CoreAccess(CoreClient(settings, transport=httpx.MockTransport(self)))


async def test_a_drive_comes_with_everybody_who_was_given_something() -> None:
    shared = drive(
        "7",
        others=[
            entry({"type": "user", "username": "alice"}, "READ", "EDIT"),
            entry({"type": "project_group", "projectId": "p1", "group": "g1"}, "READ"),
            entry({"type": "project_group", "projectId": "p1", "group": "g2"}, "EDIT"),
        ],
    )
    core = Core({"items": [shared], "next": "more"}, {"items": [drive("8", others=None)], "next": None})
    assert await core.access.shares(["7", "8", "9"]) == {
        "7": Share("Data", Owner("bob"), {"alice": frozenset({"READ", "EDIT"})}, {"p1": frozenset({"READ", "EDIT"})}),
        "8": Share("Data", Owner("bob")),
    }
    assert [(query["filterIds"], query["includeOthers"], query.get("next")) for query in core.asked] == [
        ("7,8,9", "true", None),
        ("7,8,9", "true", "more"),
    ]


async def test_a_core_that_does_not_know_filters_tells_nothing_of_other_drives() -> None:
    core = Core({"items": [drive("7"), drive("11")], "next": None})
    assert list(await core.access.shares(["7"])) == ["7"]


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ({"why": "away"}, 503),
        ({"why": "no such call"}, 404),
        ({"items": [{"id": "7"}], "next": None}, 200),
        ({"items": ["7"], "next": None}, 200),
        ({}, 200),
    ],
    ids=["down", "without drives", "half a drive", "nonsense", "empty"],
)
async def test_what_is_no_answer_is_not_taken_for_one(page: Any, status: int) -> None:
    """D4."""
    with pytest.raises(AccessUnknown):
        await Core(page, page, status=status).access.shares(["7"])
