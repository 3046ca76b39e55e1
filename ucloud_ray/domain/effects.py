"""What may need doing after a decision. Every effect may be repeated without harm; none is done before its decision
is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ucloud_ray.domain.job import AccountingStyle, JobState


@dataclass(frozen=True, slots=True)
class RequestPlacement:
    """Put the job into the queue of its product category; the queue answers with a placement event."""

    incarnation: int
    """The number that the grant shall carry."""


@dataclass(frozen=True, slots=True)
class StartReplica:
    """Start rank `rank`, or attach to it if this incarnation of it exists already."""

    incarnation: int
    rank: int
    host: str


@dataclass(frozen=True, slots=True)
class WatchReplica:
    """Wait for the end of a started replica and report it."""

    incarnation: int
    rank: int
    host: str
    handle: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StopReplica:
    """SIGTERM, grace, SIGKILL; the end arrives as `ReplicaEnded`. A replica that never started ends as lost."""

    incarnation: int
    rank: int
    host: str
    handle: Mapping[str, Any] | None
    grace: int
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Take the job out of the queue, destroy its tasks on these hosts, release its placement (ENV-57)."""

    incarnation: int
    """The newest incarnation that may hold anything; a request that was not granted yet counts."""
    hosts: tuple[str, ...]
    """Host of rank i; empty if nothing was placed."""
    keep_data: bool = False
    """Leave the disks of a machine alone (SUS-3)."""


@dataclass(frozen=True, slots=True)
class Announce:
    """One update for the Core; goes to the outbox in the transaction of the decision (D10)."""

    state: JobState | None = None
    status: str | None = None
    output_folder: str | None = None
    new_time_allocation: int | None = None
    """Total in milliseconds (TIME-6)."""
    allow_restart: bool | None = None
    expected_different_state: bool = False
    passing: bool = False
    """Of interest only while nothing newer is known: left out if a state is to be told before this was sent."""

    @property
    def status_only(self) -> bool:
        """Nothing but a text, which may be lost when too many wait (REC-22)."""
        return all(
            value is None for value in (self.state, self.output_folder, self.new_time_allocation, self.allow_restart)
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """Something to be paid for; goes to the store in the transaction of the decision (ACC-8)."""

    charge_id: str
    """The same for the same interval, for ever (ACC-7); of a usage report its scope."""
    style: AccountingStyle
    units: int
    """Of time; of a usage report all usage so far."""
    periods: int


Effect = RequestPlacement | StartReplica | WatchReplica | StopReplica | CleanUp | Announce | Charge
