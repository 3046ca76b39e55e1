"""What the engine refuses, and with which HTTP status a front end should say so.

    Refused                 status, why, error_code
    ├── BadRequest          400
    ├── PaymentRequired     402
    ├── NotFound            404
    ├── NotReady            503   recovery is not finished or the supervisor is unreachable; nothing was done
    └── OutcomeUnknown      504   an order that must not be repeated was sent, and no answer came

`why` is a text for users. All survive pickling, because they cross Ray actors.
"""

from __future__ import annotations


class Refused(Exception):
    status = 400

    def __init__(self, why: str, error_code: str | None = None) -> None:
        super().__init__(why, error_code)
        self.why = why
        self.error_code = error_code


class BadRequest(Refused):
    status = 400


class PaymentRequired(Refused):
    status = 402


class NotFound(Refused):
    status = 404


class NotReady(Refused):
    status = 503


class OutcomeUnknown(Refused):
    """Not 503: the Core would send the order again (provider-api 4)."""

    status = 504
