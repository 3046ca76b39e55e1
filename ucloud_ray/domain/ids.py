"""Distinct types for the identities that are easily confused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

JobUid = NewType("JobUid", str)
"""Ours, a UUID, unique for ever. It is the `providerGeneratedId` that `create` answers (O1)."""

JobId = NewType("JobId", str)
"""UCloud's. The Core may give the same id to another job later, so it names a job only with `createdAt` (O3)."""

Millis = NewType("Millis", int)
"""A point in time in milliseconds since the epoch, or a duration in milliseconds where said so."""


@dataclass(frozen=True, slots=True)
class JobRef:
    """How the Core names a job."""

    id: JobId
    created_at: Millis | None
    """None when a caller does not say (examples of the documentation); then the newest job of the id is meant."""


@dataclass(frozen=True, slots=True)
class ProductId:
    """A machine type: `ProductReference` on the wire."""

    id: str
    category: str
    provider: str
