"""How images come to a machine with Docker: its daemon fetches for as long as somebody listens to it.

Called by `driver`, for `fetch`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from runtimes.docker import pull_errors, registries
from runtimes.docker.client import DockerClient, PullFailed, Stream
from runtimes.docker.fetch import Way
from runtimes.docker.layers import Layers
from runtimes.errors import ImageUnavailable
from runtimes.settings import DockerSettings

_LEAVING_SECONDS = 5.0


def way(client: DockerClient, settings: DockerSettings) -> Way:
    """With the logins of the settings. They are read anew for each attempt."""

    async def pull(reference: str, layers: Layers) -> None:
        login = await client.run(registries.login_for, reference, settings.registries)
        await pull_once(client, reference, login, layers)

    async def present(reference: str) -> bool:
        try:
            await client.run(client.inspect_image, reference)
        except ImageUnavailable:
            return False
        return True

    def logged_in(reference: str) -> bool:
        return registries.has_login(reference, settings.registries)

    return Way(pull, present, logged_in, settings.pull_retry_seconds)


async def pull_once(client: DockerClient, reference: str, login: Mapping[str, str], layers: Layers) -> None:
    """Cancelling it makes the daemon stop. Raises `client.PullFailed`, `errors.RuntimeUnavailable`.

    A daemon that goes away in the middle ends it without an error: whether the image is there has to be looked at.
    """
    attempt = _Attempt(client, reference, login, layers)
    running = asyncio.ensure_future(client.run_pull(attempt.run))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        attempt.stop()
        # Not for ever: while the registry has not said anything yet, there is nothing that could be closed.
        await asyncio.wait([running], timeout=_LEAVING_SECONDS)
        running.add_done_callback(_ignore)
        raise


def _ignore(ended: asyncio.Future[None]) -> None:
    """Whatever came of it."""
    if not ended.cancelled():
        ended.exception()


class _Attempt:
    """`run` in one thread, `stop` in another."""

    def __init__(self, client: DockerClient, reference: str, login: Mapping[str, str], layers: Layers) -> None:
        self._client, self._reference, self._login, self._layers = client, reference, login, layers
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stream: Stream[dict[str, Any]] | None = None

    def run(self) -> None:
        try:
            self._run()
        except PullFailed as error:
            raise PullFailed(pull_errors.without_name(error.message, self._reference)) from error

    def _run(self) -> None:
        if self._stopped.is_set():
            return
        stream = self._client.pull(self._reference, self._login)
        with self._lock:
            self._stream = stream
            if self._stopped.is_set():
                stream.close()
        for line in stream:
            if "error" in line and not self._stopped.is_set():
                raise PullFailed(str(line["error"]))
            self._layers.hear(line)

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()
            if self._stream is not None:
                self._stream.close()
