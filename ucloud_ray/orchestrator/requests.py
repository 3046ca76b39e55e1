"""From the bytes of a request to validated models, and from results to answers.

The body is JSON whatever `Content-Type` says: the documentation's commands send a damaged one (W16, mission document).
"""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ucloud_ray.http_body import read_limited
from ucloud_ray.orchestrator.errors import BadRequest, TooLarge
from ucloud_ray.orchestrator.readable import first_problem

T = TypeVar("T")

MAX_ITEMS = 1_000
"""Of an end user's bulk request (end-user-api 1.1)."""


def answer(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def read_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """The JSON object in the body; an empty body counts as `{}`. Raises `TooLarge`, `BadRequest`."""
    content = parse(await read_body(request, max_bytes))
    if not isinstance(content, dict):
        raise BadRequest("body: must be a JSON object")
    return content


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Raises `TooLarge`."""
    body = await read_limited(request, max_bytes)
    if body is None:
        raise _too_large(max_bytes)
    return body


def parse(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: is not valid JSON: {error}") from error


def items(content: dict[str, Any], adapter: TypeAdapter[list[T]]) -> list[T]:
    """`items` of a bulk request. A missing or null list is empty, as G writes it."""
    given = content.get("items")
    try:
        return adapter.validate_python([] if given is None else given)
    except ValidationError as error:
        raise BadRequest(f"items{_after(first_problem(error))}") from error


def whole(content: dict[str, Any], adapter: TypeAdapter[T]) -> T:
    """A request that is no bulk request."""
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise BadRequest(first_problem(error)) from error


def user_items(content: dict[str, Any], adapter: TypeAdapter[list[T]]) -> list[T]:
    """The same for end users, whose requests hold 1 to 1000 items."""
    found = items(content, adapter)
    if not 1 <= len(found) <= MAX_ITEMS:
        raise BadRequest(f"items: must hold 1 to {MAX_ITEMS} elements")
    return found


def _after(problem: str) -> str:
    return problem if problem.startswith("[") else f": {problem.removeprefix('body: ')}"


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The request is larger than {max_bytes} bytes; send less at once.")
