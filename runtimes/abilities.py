"""What some drivers can do beyond the contract. Declared by implementing the protocol, asked with `isinstance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from runtimes.types import FoundTask


@runtime_checkable
class ListsTasks(Protocol):
    """Can tell which tasks of ours exist on this machine, so that leftovers can be found (ENV-59)."""

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        """Every task labelled with this provider id, running or ended. Raises `errors.RuntimeUnavailable`."""
        ...
