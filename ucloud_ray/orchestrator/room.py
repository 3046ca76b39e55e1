"""How much may be under way at once: requests and their bytes, and follows (D10). Around the application of `app`.

What exceeds it is refused at once, before anything of it was done. Providers have room of their own, so that they can
tell what became of jobs while users ask for more than can be answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ucloud_ray.orchestrator.errors import Busy, TooMany
from ucloud_ray.orchestrator.requests import answer

FOR_PROVIDERS = 256
"""Requests of providers at the same time; each has two under way at most, and some for charges."""

BODIES_AT_ONCE = 8
"""Of the largest size; ordinary ones are a thousandth of it."""

REPORTS = "/api/accounting/v2/reportUsage"

BUSY = "The server is busy at the moment. Try again in a few seconds."


class RequestRoom:
    """ASGI middleware. Sockets pass: `FollowRoom` counts what is expensive about them."""

    def __init__(self, app: ASGIApp, most: int, most_body_bytes: int) -> None:
        self._app = app
        self._most = {False: most, True: FOR_PROVIDERS}
        self._under_way = {False: 0, True: 0}
        self._most_bytes = BODIES_AT_ONCE * most_body_bytes
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        by_provider = _is_by_provider(scope["path"])
        if self._under_way[by_provider] >= self._most[by_provider]:
            await refusal(scope, receive, send)
            return
        self._under_way[by_provider] += 1
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            if self._bytes + size > self._most_bytes:
                raise Busy(BUSY)
            self._bytes += size
            held += size
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._under_way[by_provider] -= 1
            self._bytes -= held


async def refusal(scope: Scope, receive: Receive, send: Send) -> None:
    error = Busy(BUSY)
    response = answer(error.body(), error.status)
    response.headers["Retry-After"] = str(error.retry_after)
    await response(scope, receive, send)


def _is_by_provider(path: str) -> bool:
    return path.startswith(("/api/jobs/control/", "/api/files/collections/control/", "/auth/providers/", REPORTS))


class FollowRoom:
    """For follows that are open, over all sockets."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Raises `TooMany`."""
        if self._open >= self._most:
            raise TooMany(f"{self._most} jobs are being followed at the moment. Try again in a minute.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
