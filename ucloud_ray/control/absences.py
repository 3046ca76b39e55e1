"""Since when machines have been away, as the calls to them found out. Used by the performer.

The grace of a machine (SCH-16) is counted once for all that is wanted of it. Otherwise the clean-up of a job that was
lost with its machine would wait for another whole grace before the end could be told.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Absence:
    since: float
    seen: float
    """When it was noticed last."""


class Absences:
    def __init__(self, stale_after: float) -> None:
        """`stale_after`: seconds without a call to a machine after which what we knew of it does not count any more."""
        self._stale_after = stale_after
        self._away: dict[str, Absence] = {}

    def gone(self, host: str) -> float:
        """It was not there just now; for how many seconds this has been so."""
        now = time.monotonic()
        absence = self._away.get(host)
        if absence is None or now - absence.seen > self._stale_after:
            absence = self._away[host] = Absence(since=now, seen=now)
        absence.seen = now
        return now - absence.since

    def back(self, host: str) -> None:
        """It gave some answer, or its state is not known."""
        self._away.pop(host, None)
