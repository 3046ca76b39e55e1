"""What the orchestrator answers instead of a result. One tree; `app` turns it into UCloud's error body.

    ApiError                status, why, error_code
    ├── BadRequest          400
    │   └── BadDocument     400   with every mistake of a file for the catalogue
    ├── Unauthorized        401
    ├── PaymentRequired     402   the wallet is empty (ACC-18)
    ├── Forbidden           403
    ├── NotFound            404   also for "not permitted": the two are not told apart (end-user-api 1.4)
    ├── Conflict            409   something of this name is there already; nothing was done
    ├── TooLarge            413
    ├── TooMany             429   there is as much of something as is taken on; nothing was done
    ├── BadGateway          502   the provider is unreachable or talks nonsense
    ├── Busy                503   too much is under way at this moment; nothing was done
    └── ProviderRefused     the provider's own status and words, passed on

`why` is a text for users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucloud_ray.appfile.mistakes import Mistake


class ApiError(Exception):
    status = 500
    retry_after: int | None = None
    """Seconds after which it is worth trying again; None: nobody knows."""

    def __init__(self, why: str, error_code: str | None = None) -> None:
        super().__init__(why, error_code)
        self.why = why
        self.error_code = error_code

    def body(self) -> dict[str, Any]:
        """Readable for both eras: K reads `why` and `errorCode`, G all four."""
        return {"why": self.why, "errorCode": self.error_code, "statusCode": self.status, "detailedCode": 0}


class BadRequest(ApiError):
    status = 400


class BadDocument(BadRequest):
    """Tools and applications with mistakes; all of them are told."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        places = [f"line {one.place.line}, column {one.place.column}: {one.text}" for one in mistakes]
        super().__init__("\n".join(places))
        self.args = (mistakes,)
        self.mistakes = mistakes

    def body(self) -> dict[str, Any]:
        return {**super().body(), "mistakes": [mistake.to_json() for mistake in self.mistakes]}


class Unauthorized(ApiError):
    status = 401


class PaymentRequired(ApiError):
    status = 402

    def __init__(self, why: str, error_code: str = "NOT_ENOUGH_COMPUTE_CREDITS") -> None:
        super().__init__(why, error_code)


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class Conflict(ApiError):
    status = 409


class TooLarge(ApiError):
    status = 413


class TooMany(ApiError):
    status = 429
    retry_after = 60


class Busy(ApiError):
    status = 503
    retry_after = 1


class BadGateway(ApiError):
    status = 502


class ProviderRefused(ApiError):
    def __init__(self, status: int, why: str, error_code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(why, error_code)
        self.retry_after = retry_after
        self.args = (status, why, error_code)
        self.status = status


def job_not_found(job_id: str) -> NotFound:
    return NotFound(f"Permission denied or job not found ({job_id})")
