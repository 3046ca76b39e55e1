"""How long to wait after failures in a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """1 s, 2 s, 4 s … 60 s, each shortened by up to a half by chance, so that many do not come at once (REC-7)."""

    first_seconds: float = 1.0
    most_seconds: float = 60.0
    chance: Callable[[], float] = random.random
    """From 0 to 1."""

    def delay(self, failures: int) -> float:
        """Seconds after `failures` failures in a row, counted from 1."""
        whole = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 60))
        return whole * (1 - self.chance() / 2)
