"""What the operator of this provider may ask and order, for the command line. Not part of UCloud's API.

    GET     /ucloud-ray/status                parts, machines, queues, outbox, use of each category
    GET     /ucloud-ray/watched               ranks that run, and how many of them are watched for their end
    GET     /ucloud-ray/queue                 who waits for room, and why
    PUT     /ucloud-ray/nodes/HOST/drain      no new replicas there; `{"message": "..."}` is told to users
    DELETE  /ucloud-ray/nodes/HOST/drain      it takes replicas again
    GET     /ucloud-ray/leftovers             tasks that belong to no job
    DELETE  /ucloud-ray/leftovers             destroys them now

The caller shows the content of `<dataDir>/operator-token`: whoever may read the provider's files may ask. `bootstrap`
installs it beside the provider API.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ucloud_ray.control.errors import BadRequest, Refused
from ucloud_ray.control.service import OperatorService
from ucloud_ray.provider.errors import JsonResponse, failure, refused
from ucloud_ray.provider.secret_file import secret_of

PATH = "/ucloud-ray"
TOKEN_FILE = "operator-token"
MOST_BYTES = 64 * 1024
MOST_WORDS = 200
"""Characters of a message to users."""

Answer = Callable[[Request], Awaitable[Any]]


def install(app: FastAPI, service: OperatorService, token: str) -> None:
    """Serve the calls on the provider's application."""
    calls = Calls(service)
    routes: tuple[tuple[str, str, Answer], ...] = (
        ("GET", "/status", calls.status),
        ("GET", "/queue", calls.queue),
        ("GET", "/watched", calls.watched),
        ("PUT", "/nodes/{host}/drain", calls.drain),
        ("DELETE", "/nodes/{host}/drain", calls.undrain),
        ("GET", "/leftovers", calls.leftovers),
        ("DELETE", "/leftovers", calls.collect),
    )
    for method, path, answer in routes:
        app.add_api_route(
            PATH + path, _guarded(answer, token), methods=[method], response_model=None, include_in_schema=False
        )


def _guarded(answer: Answer, token: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        scheme, _, shown = (request.headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
            return failure(401, "This call needs the provider's operator token as 'Authorization: Bearer <token>'")
        try:
            return JsonResponse(await answer(request))
        except Refused as error:
            return refused(error)

    return serve


class Calls:
    """One method a call; what it returns is the answer as JSON."""

    def __init__(self, service: OperatorService) -> None:
        self._service = service

    async def status(self, _: Request) -> dict[str, Any]:
        """The service's status, and the utilization of each category once the service is ready."""
        report = dict(await self._service.status())
        report["categories"] = {}
        if report.get("ready"):
            for category in dict.fromkeys(entry.product.category for entry in await self._service.support()):
                report["categories"][category] = asdict(await self._service.utilization(category))
        return report

    async def watched(self, _: Request) -> dict[str, int]:
        return dict(await self._service.watched())

    async def queue(self, _: Request) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in await self._service.queue()]

    async def drain(self, request: Request) -> dict[str, Any]:
        return {"told": await self._service.drain(request.path_params["host"], await _message(request))}

    async def undrain(self, request: Request) -> dict[str, Any]:
        return {"told": await self._service.undrain(request.path_params["host"])}

    async def leftovers(self, _: Request) -> list[dict[str, Any]]:
        return [dict(entry) for entry in await self._service.leftovers(collect=False)]

    async def collect(self, _: Request) -> list[dict[str, Any]]:
        return [dict(entry) for entry in await self._service.leftovers(collect=True)]


async def _message(request: Request) -> str:
    """For users; empty if there is none. Raises `BadRequest`."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise BadRequest("The message is too long.")
    try:
        message = json.loads(body)["message"] if body.strip() else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest('The body must be like {"message": "new disks on Friday"}.') from None
    if not isinstance(message, str) or len(message) > MOST_WORDS:
        raise BadRequest(f"The message must be a text of at most {MOST_WORDS} characters.")
    return message.strip()


def operator_token(data_dir: Path) -> str:
    """The token of this data folder, made at the first call and readable by its owner alone."""
    return secret_of(data_dir / TOKEN_FILE)
