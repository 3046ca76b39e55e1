"""Fetches images that this machine does not have.

Called by `driver.prepare`. Several tasks that ask for the same image share one pull (ENV-54); transient errors are
tried again for a bounded time (ENV-55). What the user is told names the image and the kind of trouble, and nothing
of our network: the daemon's own words stay in `__cause__`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import tenacity

from runtimes.docker.client import PullFailed
from runtimes.errors import ImageUnavailable, InvalidTask

logger = logging.getLogger(__name__)

_PERMANENT = {
    "invalid reference format": "that is not a name of an image",
    "no matching manifest": "it is not made for this type of machine",
    "denied": "it does not exist, or the registry wants a login for it",
    "unauthorized": "it does not exist, or the registry wants a login for it",
    "authentication required": "it does not exist, or the registry wants a login for it",
    "manifest unknown": "the registry has no such image",
    "not found": "the registry has no such image",
    "does not exist": "the registry has no such image",
}
_TRANSIENT = {
    "toomanyrequests": "the registry limits how often images may be fetched",
    "no space left": "the disk of the machine is full",
}
_PULLS_AT_ONCE = 4
"""A pull holds a thread for minutes; the others must be left for everything else."""
_ROOT = frozenset({"", "0", "root"})


Inspect = Callable[[str], Awaitable[Mapping[str, Any]]]
Pull = Callable[[str], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


class Images:
    """The images of one machine.

    Args:
        inspect: what the daemon says about an image; raises `errors.ImageUnavailable` when it has none.
        pull: fetches one, once; raises `client.PullFailed`.
        retry_seconds: how long a transient error is tried again.
    """

    def __init__(self, inspect: Inspect, pull: Pull, retry_seconds: float, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._inspect = inspect
        self._fetch = pull
        self._retry_seconds = retry_seconds
        self._room = asyncio.Semaphore(_PULLS_AT_ONCE)
        self._pulls: dict[str, asyncio.Task[None]] = {}

    async def ensure(self, reference: str) -> Mapping[str, Any]:
        """What the daemon says about the image, once it is on this machine.

        Raises `errors.ImageUnavailable`, `errors.RuntimeUnavailable`.
        """
        try:
            return await self._inspect(reference)
        except ImageUnavailable:
            await self._pull_once(reference)
        return await self._inspect(reference)

    async def close(self) -> None:
        for pull in list(self._pulls.values()):
            pull.cancel()
        await asyncio.gather(*self._pulls.values(), return_exceptions=True)

    async def _pull_once(self, reference: str) -> None:
        pull = self._pulls.get(reference)
        if pull is None:
            pull = asyncio.create_task(self._pull(reference), name=f"pull {reference}")
            self._pulls[reference] = pull
            pull.add_done_callback(lambda _: self._pulls.pop(reference, None))
        # One who leaves must not take the image away from the others.
        await asyncio.shield(pull)

    async def _pull(self, reference: str) -> None:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=1, max=60),
            stop=tenacity.stop_after_delay(self._retry_seconds),
            sleep=self._sleep,
            before_sleep=tenacity.before_sleep_log(logger, logging.INFO),
            reraise=True,
        )
        try:
            async with self._room:
                async for attempt in attempts:
                    with attempt:
                        await self._fetch(reference)
        except PullFailed as error:
            raise explain(reference, error) from error


def is_transient(error: BaseException) -> bool:
    """Whether a pull that failed so is worth another try."""
    return isinstance(error, PullFailed) and _find(_PERMANENT, error.message) is None


def explain(reference: str, error: PullFailed) -> ImageUnavailable:
    """The same in words for the user."""
    permanent = _find(_PERMANENT, error.message)
    reason = permanent or _find(_TRANSIENT, error.message) or "the registry does not answer"
    return ImageUnavailable(
        f"The image {reference} could not be fetched: {reason}.",
        retryable=permanent is None,
    )


def _find(reasons: Mapping[str, str], words: str) -> str | None:
    lower = words.lower()
    return next((reason for pattern, reason in reasons.items() if pattern in lower), None)


def refuse_root(reference: str, image: Mapping[str, Any]) -> None:
    """Refuse an image that would run as root (ENV-35). Raises `errors.InvalidTask`.

    A user given by name is refused too: which number it has is written inside the image, where anyone may have
    written 0.
    """
    user = str((image.get("Config") or {}).get("User") or "").split(":")[0]
    if user in _ROOT or (user.isdigit() and int(user) == 0):
        raise InvalidTask(
            f"The image {reference} runs as root, which this application may not: choose an image with another user,"
            " or let the application ask for root."
        )
    if not user.isdigit():
        raise InvalidTask(
            f"The image {reference} runs as the user {user!r}: give its number instead of its name, so that it can be"
            " seen not to be root."
        )
