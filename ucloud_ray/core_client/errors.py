"""What a call to the Core can end in. No message carries a token."""

from __future__ import annotations


class CoreError(Exception):
    """`retryable`: the same call may succeed later without anything changing in it."""

    retryable = False


class CoreUnavailable(CoreError):
    """No connection, a timeout, 5xx, 429, 449, half an answer, no JSON.

    `reached`: the Core may have got the request and may have applied it. `down`: the Core is the reason for sure; else
    the content of the request may be.
    """

    retryable = True

    def __init__(self, why: str, reached: bool, down: bool) -> None:
        super().__init__(why, reached, down)
        self.why = why
        self.reached = reached
        self.down = down

    def __str__(self) -> str:
        return self.why


class CoreAuthFailed(CoreError):
    """Our refresh token is missing or not accepted. An operator can mend it while we run, so calls may be repeated."""

    retryable = True


class CoreRefused(CoreError):
    """A 4xx that says something about the request."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why

    def __str__(self) -> str:
        return f"{self.status}: {self.why}"


class CoreUnknownJob(CoreRefused):
    """403 or 404 with a fresh token: some job of the request is unknown to the Core, or not ours (control-api 4.3)."""
