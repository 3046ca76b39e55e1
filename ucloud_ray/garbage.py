"""How often Python looks for reference cycles. Called once at the start of each serving process.

By default it looks after every 700 new objects, which for servers that make and drop many small records is a few per
cent of all their time, and nearly everything dies by its reference count anyway. What exists after the start lives for
ever and need not be looked at.
"""

from __future__ import annotations

import gc

THRESHOLD = 20_000
"""New objects between two looks at the youngest: a few megabytes at most."""


def collect_less_often() -> None:
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 20)
