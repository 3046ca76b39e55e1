"""What can happen to a job. Every event may arrive late, twice, or out of order.

Events about a placement or a replica carry the incarnation that they speak of (LC, INV "number the attempts").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ucloud_ray.domain.job import Exit


@dataclass(frozen=True, slots=True)
class PlacementGranted:
    """The cluster reserved room for all ranks at once (SCH-11)."""

    incarnation: int
    """The job's incarnation plus one; otherwise the grant is of an older request and is ignored."""
    hosts: tuple[str, ...]
    """Host of rank i."""
    addresses: tuple[str | None, ...] = ()
    """Address of rank i (`Rank.address`); empty: none has one."""
    gpus: tuple[tuple[str, ...], ...] = ()
    """Devices of rank i (`Rank.gpus`); empty: none has any."""


@dataclass(frozen=True, slots=True)
class PlacementImpossible:
    """The job can never be placed, for example because its product was withdrawn (T4)."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoRoom:
    """No machine is free at the moment (SCH-13)."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that the user should know while the job stays in its state: an image that is being fetched, the place
    in the queue, maintenance of a machine (1.5, SCH-13, SCH-15)."""

    status: str
    incarnation: int | None = None
    """Ignored unless it is the job's present one; None: whatever the incarnation."""


@dataclass(frozen=True, slots=True)
class FolderReady:
    """The job folder exists (ENV-4)."""

    output_folder: str
    """UCloud path."""


@dataclass(frozen=True, slots=True)
class ReplicaStarted:
    incarnation: int
    rank: int
    handle: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReplicaStartFailed:
    """Nothing of this rank runs."""

    incarnation: int
    rank: int
    reason: str
    """Short, for users."""
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaEnded:
    """A positive end (D4)."""

    incarnation: int
    rank: int
    exit: Exit


@dataclass(frozen=True, slots=True)
class ReplicaLost:
    """The runtime surely does not know it after the grace, or its machine was given up (REC-4, SCH-16)."""

    incarnation: int
    rank: int


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """Tasks destroyed, placement released, nothing left (ENV-57)."""

    incarnation: int


class StopCause(StrEnum):
    CANCELLED = "cancelled"
    NO_CREDITS = "no credits"
    LOST_PERMISSIONS = "lost permissions"
    FORGOTTEN = "forgotten"
    """The Core does not know the job any more (REC-9), or gave its id to another one (O3)."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    cause: StopCause
    reason: str = ""
    """For the user, beside the text of the cause."""


@dataclass(frozen=True, slots=True)
class SuspendRequested:
    pass


@dataclass(frozen=True, slots=True)
class UnsuspendRequested:
    pass


@dataclass(frozen=True, slots=True)
class TimeExtended:
    by: int
    """Milliseconds, positive."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The Core ordered a new life of a job that ended naturally (LC-26)."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """Somebody outside may believe another state than ours (W12, REC-13)."""

    even_if_same: bool
    """Say ours although the Core has it already: a page shows something else."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; deadlines are looked at."""


@dataclass(frozen=True, slots=True)
class ChargeDue:
    """It is time to charge what has run (ACC-2)."""


Event = (
    PlacementGranted
    | PlacementImpossible
    | NoRoom
    | Noted
    | FolderReady
    | ReplicaStarted
    | ReplicaStartFailed
    | ReplicaEnded
    | ReplicaLost
    | CleanedUp
    | StopRequested
    | SuspendRequested
    | UnsuspendRequested
    | TimeExtended
    | Restarted
    | Doubted
    | Tick
    | ChargeDue
)
