"""The wall clock, for what is stored. Waiting uses the event loop's monotonic clock (TIME-13)."""

from __future__ import annotations

import time

from ucloud_ray.domain.ids import Millis


class SystemClock:
    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)
