"""The clock that jobs are measured by: the wall clock, read once and counted on from there (TIME-11, TIME-13).

An administrator who sets the machine's clock, or a time server that corrects it, neither ends jobs early nor keeps them
running: time since the machine's start goes on evenly, nobody can set it, and time in which the machine was suspended
counts. What the wall clock said at one moment of it is the anchor. The store keeps it (`store.job_store`), so that a
supervisor that is started again counts on as its predecessor did. Waiting uses the event loop's monotonic clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ucloud_ray.domain.ids import Millis

NANOS = 1_000_000

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the wall clock said at a moment."""

    boot: str
    """Of which start of which machine the moment is."""
    steady: int
    """Nanoseconds since that start."""
    wall: int
    """Nanoseconds since the epoch."""

    @classmethod
    def now(cls) -> Anchor:
        return cls(_BOOT_ID.read_text().strip(), _steady(), time.time_ns())

    def not_before(self, latest: Millis) -> Anchor:
        return self if self.wall >= latest * NANOS else Anchor(self.boot, self.steady, latest * NANOS)


class SystemClock:
    def __init__(self, anchor: Anchor | None = None) -> None:
        """`anchor`: of this start of the machine; None: the wall clock now."""
        self.count_from(anchor or Anchor.now())

    def count_from(self, anchor: Anchor) -> None:
        """Before anything was dated by this clock."""
        self._offset = anchor.wall - anchor.steady

    def now(self) -> Millis:
        return Millis((_steady() + self._offset) // NANOS)


def wall_clock() -> Millis:
    """What the machine believes at this moment, for telling how far it is from ours."""
    return Millis(time.time_ns() // NANOS)


def _steady() -> int:
    """Nanoseconds since the machine started; nobody can set them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
