"""Lets things go wrong between any two effects, on command.

Everything that a supervisor does to the world goes through one fuse: transactions of the store, calls to the cluster,
requests to the Core. Each of them has a number. At the chosen number either the process is gone, before the effect or
right after it, or the call fails once, before the effect or with its answer lost, or it hangs until somebody ends the
process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from ucloud_ray.control.ports import ClusterUnavailable, CoreSilent
from ucloud_ray.core_client.errors import CoreUnavailable
from ucloud_ray.store.errors import StoreUnavailable

T = TypeVar("T")


class Fault(StrEnum):
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    """The effect happened, and whoever asked for it never heard."""
    FAIL_BEFORE = "failure before"
    LOST_ANSWER = "lost answer"
    """The effect happened, and whoever asked for it was told that it failed."""
    HANG_BEFORE = "hanging before"
    """Everything else goes on until the process is ended for it."""
    HANG_AFTER = "hanging after"

    @property
    def crash(self) -> bool:
        return self in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)

    @property
    def hang(self) -> bool:
        return self in (Fault.HANG_BEFORE, Fault.HANG_AFTER)

    @property
    def after(self) -> bool:
        return self in (Fault.CRASH_AFTER, Fault.LOST_ANSWER, Fault.HANG_AFTER)


HANGING_SECONDS = 0.1
"""Until somebody ends a process that hangs (REC-6)."""


EFFECTS = {
    "store": frozenset({"commit", "enqueue", "acknowledge", "settle_charges"}),
    "cluster": frozenset(
        {"place", "keep_only", "release", "prepare_and_start", "stop", "wait", "destroy", "apply_network"}
    ),
    "core": frozenset({"update", "charge", "enough", "knows", "newest_updates"}),
}
_TROUBLE: dict[str, Callable[[], Exception]] = {
    "store.commit": lambda: StoreUnavailable("The disk is full."),
    "store": lambda: StoreUnavailable("The disk is full."),
    "cluster": lambda: ClusterUnavailable("no answer"),
    "core.charge": lambda: CoreSilent("no answer"),
    "core.enough": lambda: CoreSilent("no answer"),
    "core": lambda: CoreUnavailable("no answer", reached=True, down=False),
}


@dataclass
class Fuse:
    at: int | None = None
    """Number of the effect, counted from 1; None: nothing goes wrong."""
    fault: Fault = Fault.CRASH_BEFORE
    seen: list[str] = field(default_factory=list)
    """Name of every effect so far."""
    blown: asyncio.Event = field(default_factory=asyncio.Event)
    """The process is gone: whatever it still tries never happens, and never returns."""
    struck: str | None = None
    """At which effect it went wrong."""

    async def effect(self, part: str, method: str, do: Callable[[], Awaitable[T]]) -> T:
        await self.gate()
        self.seen.append(f"{part}.{method}")
        if len(self.seen) == self.at and self._possible(part):
            return await self._strike(part, method, do)
        result = await do()
        await self.gate()
        return result

    async def gate(self) -> None:
        if self.blown.is_set():
            await asyncio.get_running_loop().create_future()

    def _possible(self, part: str) -> bool:
        """A store that failed wrote nothing: that is its promise (`ports.JobStore`)."""
        return not (part == "store" and self.fault is Fault.LOST_ANSWER)

    async def _strike(self, part: str, method: str, do: Callable[[], Awaitable[T]]) -> T:
        self.struck = f"{part}.{method}"
        if self.fault.after:
            with suppress(Exception):
                await do()
        if self.fault.hang:
            asyncio.get_running_loop().call_later(HANGING_SECONDS, self.blown.set)
            await asyncio.get_running_loop().create_future()
        if self.fault.crash:
            self.blown.set()
            await self.gate()
        raise _TROUBLE.get(self.struck, _TROUBLE[part])()


class Fused:
    """An object whose effects go through a fuse, and everything else as long as the process lives."""

    def __init__(self, part: str, real: Any, fuse: Fuse) -> None:
        self._part, self._real, self._fuse = part, real, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            if name in EFFECTS[self._part]:
                return await self._fuse.effect(self._part, name, lambda: found(*arguments, **named))
            await self._fuse.gate()
            return await found(*arguments, **named)

        return call
