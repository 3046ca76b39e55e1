"""The wall clock, for what is stored. Waiting uses the event loop's monotonic clock (TIME-13).

Read once at the start and counted on from there: an administrator who sets the clock neither ends jobs early nor keeps
them running. Time that the machine was suspended counts.
"""

from __future__ import annotations

import time

from ucloud_ray.domain.ids import Millis


class SystemClock:
    def __init__(self) -> None:
        self._offset = time.time_ns() - _steady()

    def now(self) -> Millis:
        return Millis((_steady() + self._offset) // 1_000_000)


def _steady() -> int:
    """Nanoseconds since the machine started; nobody can set them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
