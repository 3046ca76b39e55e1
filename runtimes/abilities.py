"""What some drivers can do beyond the contract. Declared by implementing the protocol, asked with `isinstance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from runtimes.types import ExitResult, FoundTask, TaskHandle


@runtime_checkable
class ListsTasks(Protocol):
    """Can tell which tasks of ours exist on this machine, so that leftovers can be found (ENV-59)."""

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        """Every task labelled with this provider id, running or ended. Raises `errors.RuntimeUnavailable`."""
        ...


@runtime_checkable
class TellsQuickEnds(Protocol):
    """Can wait for an end for milliseconds and let go of it again at no cost worth mentioning."""

    async def ended_within(self, handle: TaskHandle, seconds: float) -> ExitResult | None:
        """How the task ended, if it did so within that time; None otherwise, also when that cannot be told."""
        ...
