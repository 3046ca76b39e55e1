"""How a call fails: every failure is a JSON object with a text for users (provider-api 3).

Refused (control.errors)         400 to 404, 429, 503 what the engine refuses; with `Retry-After` if that may help
├── Unauthenticated              401                  no token, or not a valid one
├── Forbidden                    403                  a valid token of someone else
├── BodyTooLarge                 413                  not read to its end
└── TooManyBytes                 503                  the same, and worth another attempt
anything else                    500                  a bug: told by a reference that the log has too
"""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ucloud_ray.control.errors import BadRequest, Busy, Refused

log = structlog.get_logger("ucloud_ray.provider")

_PLAIN = {
    404: "UCloud's provider API has no such call here; check the path and the provider id in it",
    405: "This path exists, but not with this method",
}


class Unauthenticated(Refused):
    status = 401


class Forbidden(Refused):
    status = 403


class BodyTooLarge(Refused):
    status = 413


class TooManyBytes(Busy):
    """Of requests that are being read; not read to its end."""


class InvalidBody(BadRequest):
    """Not JSON, or not what the call takes; the text says where."""


class JsonResponse(Response):
    """JSON whatever the caller accepts: the Core reads nothing else."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def refused(error: Refused) -> JsonResponse:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if isinstance(error, BodyTooLarge | TooManyBytes):
        headers["Connection"] = "close"  # after an answer to a body that was not read it is of no use any more
    return failure(error.status, error.why, error.error_code, headers)


def failure(
    status: int, why: str, error_code: str | None = None, headers: dict[str, str] | None = None
) -> JsonResponse:
    return JsonResponse({"why": why, "errorCode": error_code}, status, headers)


def bug(error: Exception, call: str) -> JsonResponse:
    """The answer to a failure that is ours. What happened is in our log only."""
    return failure(500, f"Something went wrong at the provider. Reference: {log_bug(error, call)}", "INTERNAL_ERROR")


def log_bug(error: Exception, call: str) -> str:
    """Write it down; returns the reference that leads from the answer to the log line."""
    reference = uuid.uuid4().hex[:12]
    log.error("a call failed because of a bug", call=call, reference=reference, exc_info=error)
    return reference


async def no_such_call(request: Request, error: Exception) -> Response:
    """Paths and methods that no route has."""
    if not isinstance(error, HTTPException):
        return bug(error, request.url.path)
    return failure(error.status_code, _PLAIN.get(error.status_code, str(error.detail)), None, _headers(error))


def _headers(error: HTTPException) -> dict[str, str] | None:
    return dict(error.headers) if error.headers else None
