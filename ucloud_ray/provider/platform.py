"""The calls that UCloud/Core makes to every provider and that have nothing to do with jobs (provider-api 8)."""

from __future__ import annotations

from typing import Any

from ucloud_ray.control.errors import BadRequest, NotFound
from ucloud_ray.provider.endpoint import Call, Endpoint

_OBJECT = dict[str, Any]


def endpoints() -> list[Endpoint[Any]]:
    return [*_accounts(), *_other()]


def _accounts() -> list[Endpoint[Any]]:
    return [
        Endpoint(
            "GET", "integration/retrieveManifest", _manifest, "Whether users must link an account: no",
            response=_OBJECT, errors=(),
        ),
        Endpoint(
            "GET", "integration/retrieveCondition", _condition, "Whether the provider is well", response=_OBJECT,
            public=True, errors=(),
        ),
        Endpoint("POST", "integration/init", _nothing, "Prepare a user: nothing to do", _OBJECT, _OBJECT),
        Endpoint("POST", "integration/connect", _no_linking, "Link an account: not needed", _OBJECT, _OBJECT),
        Endpoint("POST", "integration/unlinked", _nothing, "A user removed a link", _OBJECT, _OBJECT),
        Endpoint(
            "POST", "integration/welcome", _not_offered, "Registration of the older kind: not offered", _OBJECT,
            errors=(404,),
        ),
    ]  # fmt: skip


def _other() -> list[Endpoint[Any]]:
    return [
        Endpoint(
            "GET", "provider/branding/retrieveInfo", _not_offered, "Logo and description: not offered", errors=(404,)
        ),
        Endpoint("POST", "ssh/keyUploaded", _nothing, "Keys of a user changed", _OBJECT, _OBJECT),
        Endpoint("POST", "tasks/pauseOrCancel", _nothing, "Background tasks: there are none", _OBJECT, _OBJECT),
        Endpoint(
            "GET", "tokens/retrieveOptions", _no_permissions, "Tokens for programs: none", response=_OBJECT, errors=()
        ),
    ]


async def _manifest(call: Call[None]) -> _OBJECT:
    """8.2. Without an expiry, which G reads the wrong way round."""
    return {"enabled": False, "expireAfterMs": None, "requiresMessageSigning": False, "unmanagedConnections": False}


async def _condition(call: Call[None]) -> _OBJECT:
    return {"page": None, "level": "NORMAL"}


async def _nothing(call: Call[_OBJECT]) -> _OBJECT:
    return {}


async def _no_linking(call: Call[_OBJECT]) -> _OBJECT:
    raise BadRequest("Users of this provider need no account of their own; there is nothing to link")


async def _no_permissions(call: Call[None]) -> _OBJECT:
    return {"availablePermissions": []}


async def _not_offered(call: Call[Any]) -> _OBJECT:
    raise NotFound("This provider does not offer that")
