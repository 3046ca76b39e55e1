"""The images of one machine: there, or fetched, by all of its processes together.

Called by `driver.prepare`. Several tasks that ask for the same image share one pull (ENV-54); one that leaves takes it
from nobody, and when the last one has left it is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from runtimes.docker.fetch import Fetch, Way
from runtimes.docker.pull_errors import short
from runtimes.docker.turns import Turn
from runtimes.errors import ImageUnavailable, InvalidTask, RuntimeUnavailable
from runtimes.types import Progress

_RUNS_ON = {"x86_64": ("amd64", "386"), "aarch64": ("arm64", "arm")}
"""Machine, as the daemon calls it, to architectures of images, the usual one first. Others are not judged."""
_BINFMT = Path("/proc/sys/fs/binfmt_misc")

Inspect = Callable[[str], Awaitable[Mapping[str, Any]]]


class Images:
    """What one process knows of them.

    Args:
        inspect: what the daemon says about an image; raises `errors.ImageUnavailable` when it has none.
        way: how they come here.
        folder: for locks between processes; the same for all that share the daemon.
        daemon: names the daemon among all that use the folder.
    """

    def __init__(self, inspect: Inspect, way: Way, folder: Path, daemon: str = "") -> None:
        self._inspect, self._way, self._folder, self._daemon = inspect, way, folder, daemon
        self._fetches: dict[str, Fetch] = {}
        self._running: dict[Fetch, asyncio.Task[None]] = {}

    async def ensure(self, reference: str) -> Mapping[str, Any]:
        """What the daemon says about the image, once it is on this machine.

        Raises `errors.ImageUnavailable`, `errors.RuntimeUnavailable`.
        """
        try:
            return await self._inspect(reference)
        except ImageUnavailable:
            await self._join(reference)
        try:
            return await self._inspect(reference)
        except ImageUnavailable as gone:
            raise RuntimeUnavailable("The Docker daemon of this machine did not finish fetching the image.") from gone

    def progress(self, reference: str) -> Progress | None:
        """Of a fetch that is under way, here or in another process."""
        fetch = self._fetches.get(reference)
        return None if fetch is None else fetch.progress()

    async def close(self) -> None:
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _join(self, reference: str) -> None:
        fetch = self._fetches.get(reference)
        if fetch is None or fetch.abandoned:
            fetch = self._begin(reference)
        fetch.callers += 1
        try:
            # One who leaves must not take the image away from the others.
            await asyncio.shield(self._running[fetch])
        finally:
            fetch.callers -= 1

    def _begin(self, reference: str) -> Fetch:
        fetch = Fetch(reference, Turn(self._folder, f"{self._daemon} {reference}"), self._way)
        running = asyncio.create_task(fetch.run(), name=f"fetch {reference}")
        self._fetches[reference], self._running[fetch] = fetch, running
        running.add_done_callback(lambda _: self._ended(reference, fetch))
        return fetch

    def _ended(self, reference: str, fetch: Fetch) -> None:
        running = self._running.pop(fetch)
        if self._fetches.get(reference) is fetch:
            del self._fetches[reference]
        if not running.cancelled():
            running.exception()  # heard by those who wait; nobody may


def refuse_foreign(reference: str, image: Mapping[str, Any], machine: str) -> None:
    """Refuse an image for another kind of processor: a daemon fetches it without a word, and its program would end
    with a strange message. Not where the kernel hands foreign programs to an emulator. Raises `errors.InvalidTask`."""
    architecture = str(image.get("Architecture") or "")
    usable = _RUNS_ON.get(machine)
    if usable is None or not architecture or architecture in usable or any(_BINFMT.glob("qemu-*")):
        return
    raise InvalidTask(
        f"The image {short(reference)} is made for {architecture} machines and cannot run on this one: choose one that"
        f" is made for {usable[0]}."
    )
