"""The support loop: asks the provider what it can do, in the order and with the rules of provider-api 8.1 (O16).

Each answer stands until the next good one: an error or a 404 keeps what is known, `[]` withdraws it. The loop is one
task of `app`; it ends when it is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from ucloud_ray.orchestrator.errors import ApiError
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.settings import OrchestratorSettings

JOBS = "jobs"
TYPES = ("files/collections", JOBS, "ingresses", "networkips", "licenses", "private-networks")
FIRST_PAUSE_SECONDS = 0.05
PAUSE_GROWTH = 1.6
_log = logging.getLogger(__name__)


class SupportLoop:
    def __init__(
        self, client: ProviderClient, products: ProductBook, settings: OrchestratorSettings, now: Callable[[], int]
    ) -> None:
        self._client = client
        self._products = products
        self._settings = settings
        self._now = now
        self.first_answer = asyncio.Event()
        self.reachable = False
        self.answered_at: int | None = None
        """Milliseconds since the epoch."""

    async def run(self) -> None:
        failures = 0
        while True:
            failures = 0 if await self.poll() else failures + 1
            await asyncio.sleep(self._pause(failures))

    async def poll(self) -> bool:
        """One round. False when nothing at the provider answered."""
        await self._ask("integration/retrieveManifest")
        answers = {kind: await self._ask(f"{kind}/retrieveProducts") for kind in TYPES}
        self.reachable = any(answer is not None for answer in answers.values())
        if answers[JOBS] is not None:
            self._take(answers[JOBS])
        if self.reachable:
            self.answered_at = self._now()
            self.first_answer.set()
        return self.reachable

    def _pause(self, failures: int) -> float:
        if failures == 0:
            return self._settings.support_poll_seconds
        # The exponent is bounded: a provider may be away for days.
        grown = FIRST_PAUSE_SECONDS * PAUSE_GROWTH ** min(failures - 1, 32)
        return min(grown, self._settings.support_backoff_seconds)

    async def _ask(self, path: str) -> Any:
        try:
            return await self._client.get(path)
        except ApiError as error:
            _log.debug("%s: %s", path, error.why)
            return None

    def _take(self, answer: Any) -> None:
        try:
            # An empty list is left out by G's serialiser, so a missing one withdraws everything too.
            self._products.replace_support(self._client.id, answer.get("responses") or [])
        except (ValidationError, TypeError, AttributeError) as error:
            _log.warning("the provider's answer to jobs/retrieveProducts cannot be read, the old one stands: %s", error)
