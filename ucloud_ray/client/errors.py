"""What the client raises. One tree; a message is one line, and where a server has refused, the server's own words.

ClientError
├── Mistake            a value that cannot be right; nothing was asked
├── NoMachine          no machine type can run the application
├── Unavailable        no answer, or only that it cannot now, for longer than `Retry.patience`
│   ├── Unreachable    nothing answers at the address
│   └── AnswerLost     no answer came to a request that is not safe to repeat: it may have been done
├── StrangeAnswer      whoever answers is no UCloud/Core, or one of another kind
├── StillRunning       the job has not ended in the time that one wanted to wait; also a TimeoutError
└── Refused            the server said no: `status`, `why`, `error_code`, `body`
    ├── BadRequest     400   the request cannot be granted as it is
    ├── NotLoggedIn    401   the token is missing, expired or revoked
    ├── OutOfCredits   402   the wallet is empty
    ├── NotPermitted   403
    ├── NotFound       404   also for what one may not see
    ├── Taken          409   the name is taken, or somebody else was first
    └── TooMuch        429   there is as much of something as is taken on; nothing was done
"""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    pass


class Mistake(ClientError):
    """`remedy` says what to write instead; without one, `about` says of what kind the right values are."""

    def __init__(self, message: str, remedy: str = "", about: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.message, self.remedy, self.about = message, remedy, about


class NoMachine(ClientError):
    pass


class Unavailable(ClientError):
    pass


class Unreachable(Unavailable):
    pass


class AnswerLost(Unavailable):
    pass


class StrangeAnswer(ClientError):
    pass


class StillRunning(ClientError, TimeoutError):
    pass


class Refused(ClientError):
    def __init__(self, status: int, why: str, error_code: str | None = None, body: Any = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.error_code = error_code
        self.body = body
        """What was answered, if it was JSON."""


class BadRequest(Refused):
    pass


class NotLoggedIn(Refused):
    pass


class OutOfCredits(Refused):
    pass


class NotPermitted(Refused):
    pass


class NotFound(Refused):
    pass


class Taken(Refused):
    pass


class TooMuch(Refused):
    pass


_BY_STATUS: dict[int, type[Refused]] = {
    400: BadRequest,
    401: NotLoggedIn,
    402: OutOfCredits,
    403: NotPermitted,
    404: NotFound,
    409: Taken,
    429: TooMuch,
}


def refused(status: int, body: Any, reason: str = "") -> Refused:
    """The error that a status and an error body of either era stand for."""
    told = body if isinstance(body, dict) else {}
    why = " ".join(str(told.get("why") or "").split()) or f"the server answered {status} {reason}".rstrip()
    code = told.get("errorCode")
    return _BY_STATUS.get(status, Refused)(status, why, code if isinstance(code, str) and code else None, body)
