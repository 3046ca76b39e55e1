"""One HTTP call of the Core, from request to answer: authenticate, read, validate, handle, answer.

FastAPI routes and documents; the body does not go through its parameter machinery, which would insist on a
`Content-Type`, answer errors in another shape and validate twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ucloud_ray.control.errors import Refused
from ucloud_ray.provider import body
from ucloud_ray.provider.auth import TokenVerifier, acting_user
from ucloud_ray.provider.errors import JsonResponse, bug, failure, refused
from ucloud_ray.provider.room import CallRoom
from ucloud_ray.wire.common import CommonErrorMessage

T = TypeVar("T")

BODY_SECONDS = 60.0
"""How long a body may take to arrive: a caller that is cut off must not keep its place for ever."""


class BodyTooSlow(Exception):
    """It was not read to its end."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What a handler gets to see of a request."""

    content: T
    """The validated body; None for calls without one."""
    document: Any
    """The body as received."""
    query: QueryParams
    user: str | None
    """The acting user (provider-api 2.2)."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """A call of the provider API and what answers it."""

    method: str
    path: str
    """Below `/ucloud/P/`."""
    handle: Callable[[Call[T]], Awaitable[Any]]
    """Returns the JSON of the answer, or raises `Refused`."""
    summary: str
    request: Any = None
    """Type of the body; None: the body is not looked at."""
    response: Any = None
    """Type of the answer, for the documentation."""
    public: bool = False
    """Answered without a token."""
    errors: tuple[int, ...] = field(default=(400,))
    """Statuses besides 401 and 403, for the documentation."""

    @property
    def name(self) -> str:
        """Unique and readable: `POST_jobs_terminate`."""
        return f"{self.method}_{self.path.replace('/', '_').replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every endpoint of one application shares."""

    provider_id: str
    verifier: TokenVerifier
    max_body_bytes: int
    room: CallRoom


def add(app: FastAPI, endpoint: Endpoint[Any], around: Surroundings) -> None:
    """Serve the endpoint."""
    app.add_api_route(
        f"/ucloud/{around.provider_id}/{endpoint.path}",
        _route(endpoint, around),
        methods=[endpoint.method],
        name=endpoint.name,
        operation_id=endpoint.name,
        summary=endpoint.summary,
        response_model=None,
        response_class=JsonResponse,
        responses=_documented_responses(endpoint),
        tags=[endpoint.path.split("/")[0]],
    )


def _route(endpoint: Endpoint[Any], around: Surroundings) -> Callable[[Request], Awaitable[Response]]:
    adapter = TypeAdapter[Any](endpoint.request) if endpoint.request is not None else None

    async def route(request: Request) -> Response:
        try:
            if not endpoint.public:
                around.verifier.verify(request.headers.get("authorization"))
            with around.room.taken() as taken:
                call = await _read(request, adapter, around.max_body_bytes, taken.grow)
                return JsonResponse(await endpoint.handle(call))
        except Refused as error:
            return refused(error)
        except BodyTooSlow:
            return failure(408, "The request did not arrive in time", None, {"Connection": "close"})
        except ClientDisconnect:
            return failure(400, "The caller left before its request was complete")
        except Exception as error:
            return bug(error, f"{endpoint.method} {endpoint.path}")

    return route


async def _read(
    request: Request, adapter: TypeAdapter[Any] | None, max_bytes: int, took: Callable[[int], None]
) -> Call[Any]:
    user = acting_user(request.headers.get("ucloud-username"))
    if adapter is None:
        return Call(None, None, request.query_params, user)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await body.read(request, max_bytes, took)
    except TimeoutError as slow:
        raise BodyTooSlow from slow
    document = body.parse(raw)
    return Call(body.validate(adapter, document), document, request.query_params, user)


def _documented_responses(endpoint: Endpoint[Any]) -> dict[int | str, dict[str, Any]]:
    # Every call may meet a busy front end.
    statuses = (*endpoint.errors, 503) if endpoint.public else (*endpoint.errors, 401, 403, 503)
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": CommonErrorMessage, "description": _DESCRIPTIONS[status]} for status in statuses
    }
    if endpoint.response is not None:
        responses[200] = {"model": endpoint.response, "description": "Done"}
    return responses


_DESCRIPTIONS = {
    400: "The request is wrong or not supported; `why` is a text for users",
    401: "No valid token",
    402: "The workspace has no credits",
    403: "A valid token, but not UCloud/Core's",
    404: "Unknown job, or not offered by this provider",
    409: "There is one of that name already",
    413: "The request is too large",
    429: "The provider has as much as it takes on; nothing was done",
    503: "The provider is not ready yet, or busy; repeating the call is safe",
    507: "There is no room left on the drive",
    504: "Nobody knows whether it was done; look before you repeat it",
}
