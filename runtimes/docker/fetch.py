"""One image on its way to this machine, for all tasks of this process that want it. Made by `images`.

    wait for the turn ──▶ is it here by now? ──▶ pull ──▶ done
      │ nobody waits any more      yes ▶ done     │ passing trouble: a pause, and again, for a bounded time (ENV-55)
      ▼                                           │ permanent trouble, or the time is over: told to all who wait
    nothing                                       ▼ nobody waits any more, here and in other processes: stopped

The time for passing trouble begins with it and ends when the image gets further than it ever was: a large image may
take hours over a line that breaks now and then, and a registry that always breaks off at the same place does not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import tenacity

from runtimes.docker import pull_errors
from runtimes.docker.client import PullFailed
from runtimes.docker.layers import Layers
from runtimes.docker.pull_errors import Trouble
from runtimes.docker.turns import Turn
from runtimes.errors import ImageUnavailable
from runtimes.types import Progress

logger = logging.getLogger(__name__)

_STALLED_SECONDS = 300.0
"""Without a byte of a layer: as good as broken off."""
_PAUSE_SECONDS = 30
"""The longest between two attempts."""

Pull = Callable[[str, Layers], Awaitable[None]]
Present = Callable[[str], Awaitable[bool]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Way:
    """How images come to this machine."""

    pull: Pull
    """One attempt; raises `client.PullFailed`. Cancelling it stops the daemon."""
    present: Present
    logged_in: Callable[[str], bool]
    """Whether a login is sent along for this image."""
    retry_seconds: float
    """How long passing trouble is borne."""
    sleep: Sleep = asyncio.sleep
    look_seconds: float = 0.25
    """Between two looks at a pull that is under way, ours or another process's."""


class Abandoned(ImageUnavailable):
    """Nobody waits for it any more; nobody hears this."""


class Fetch:
    def __init__(self, reference: str, turn: Turn, way: Way) -> None:
        self._reference, self._turn, self._way = reference, turn, way
        self._layers = Layers()
        self._pulls = False
        self._trouble: tuple[float, int] | None = None
        """Since when (monotonic), and how far the image was then."""
        self._step = (0.0, -1)
        """When the image got further last, and how far."""
        self._words = ""
        """What the daemon said of the last attempt."""
        self.callers = 0
        self.abandoned = False
        """It ends without having the image: whoever comes now must begin another one."""

    async def run(self) -> None:
        """Returns when the image should be here. Raises `errors.ImageUnavailable`, `errors.RuntimeUnavailable`."""
        self._turn.open()
        try:
            await self._wait_for_turn()
            self._pulls = True
            if not await self._way.present(self._reference):
                await self._try_for_a_while()
        finally:
            self._turn.close()

    def progress(self) -> Progress:
        """What to tell those who wait."""
        doing = f"Fetching the image {pull_errors.short(self._reference)}"
        if not self._pulls:
            return self._turn.told() or Progress(doing)
        if self._words or self._layers.struggling:
            return Progress(doing, f"{pull_errors.reason(self._words)}; it is tried again")
        if self._layers.unpacking:
            return Progress(doing, "it is here and is being unpacked")
        return Progress(doing, self._layers.so_far())

    async def _wait_for_turn(self) -> None:
        while not self._turn.take():
            self._leave_if_alone()
            await asyncio.sleep(self._way.look_seconds)

    async def _try_for_a_while(self) -> None:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_random_exponential(multiplier=1, max=_PAUSE_SECONDS),
            stop=lambda _: self._time_is_over(),
            sleep=self._way.sleep,
            before_sleep=tenacity.before_sleep_log(logger, logging.INFO),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    await self._attempt()
        except PullFailed as error:
            logger.warning("the image %s could not be fetched: %s", self._reference, error.message)
            told = self._explain(error)
            self._turn.fail(told)
            raise told from error

    async def _attempt(self) -> None:
        self._layers.begin()
        self._step = (time.monotonic(), self._layers.advances)
        pulling = asyncio.ensure_future(self._way.pull(self._reference, self._layers))
        try:
            while not (await asyncio.wait([pulling], timeout=self._way.look_seconds))[0]:
                self._look()
            await pulling
        except PullFailed as error:
            self._words = error.message
            self._is_in_trouble()
            self._turn.tell(self.progress())
            raise
        finally:
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)

    def _look(self) -> None:
        """What is to be done while the daemon pulls: tell, and find a reason to stop."""
        self._leave_if_alone()
        if self._layers.struggling:
            self._is_in_trouble()
            if self._time_is_over():
                raise PullFailed(self._words or "the daemon did not get on for too long")
        elif self._trouble is None or self._layers.advances > self._trouble[1]:
            self._words, self._trouble = "", None
        self._require_movement()
        self._turn.tell(self.progress())

    def _require_movement(self) -> None:
        now, (since, far) = time.monotonic(), self._step
        if self._layers.advances > far or self._layers.unpacking:
            self._step = (now, self._layers.advances)
        elif now - since >= _STALLED_SECONDS:
            raise PullFailed("the pull stalled")

    def _leave_if_alone(self) -> None:
        if not self.callers and not (self._pulls and self._turn.wanted_by_others()):
            self.abandoned = True
            raise Abandoned("Nobody waits for the image any more.")

    def _is_in_trouble(self) -> None:
        if self._trouble is None or self._layers.advances > self._trouble[1]:
            self._trouble = (time.monotonic(), self._layers.advances)

    def _time_is_over(self) -> bool:
        return self._trouble is not None and time.monotonic() - self._trouble[0] >= self._way.retry_seconds

    def _explain(self, error: PullFailed) -> ImageUnavailable:
        logged_in = self._way.logged_in(self._reference)
        return pull_errors.explain(self._reference, error.message, logged_in=logged_in)


def is_passing(error: BaseException) -> bool:
    """Whether a pull that failed so is worth another try."""
    return isinstance(error, PullFailed) and pull_errors.kind(error.message) is Trouble.PASSING
