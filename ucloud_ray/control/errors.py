"""What the engine refuses, and with which HTTP status a front end should say so.

    Refused                 status, why, error_code
    ├── BadRequest          400
    ├── PaymentRequired     402
    ├── NoSuchSession       403   a credential of a session that is unknown, spent or too old
    ├── NotFound            404
    ├── TooMany             429   there is more of something than is taken on; nothing was done
    ├── NotReady            503   recovery is not finished or the supervisor is unreachable; nothing was done, or what
    │   │                         was done is safe to order again
    │   └── Busy            503   too much is under way at this moment; nothing was done
    └── OutcomeUnknown      504   an order that must not be repeated was sent, and no answer came

`why` is a text for users. All survive pickling, because they cross Ray actors.
"""

from __future__ import annotations


class Refused(Exception):
    status = 400
    retry_after: int | None = None
    """Seconds after which it is worth trying again; None: not before something was changed."""

    def __init__(self, why: str, error_code: str | None = None) -> None:
        super().__init__(why, error_code)
        self.why = why
        self.error_code = error_code


class BadRequest(Refused):
    status = 400


class PaymentRequired(Refused):
    status = 402


class NoSuchSession(Refused):
    """Not 404: at a handshake the page gives up only for a 403 (W3)."""

    status = 403


class NotFound(Refused):
    status = 404


class TooMany(Refused):
    """Of lasting trouble: unlike 503 the Core does not repeat it by itself (O15)."""

    status = 429
    retry_after = 60


class NotReady(Refused):
    status = 503
    retry_after = 1


class Busy(NotReady):
    pass


class OutcomeUnknown(Refused):
    """Not 503: the Core would send the order again (provider-api 4)."""

    status = 504
