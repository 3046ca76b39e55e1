"""When a request is tried again, and after which pause. Pure; called by `session`.

    outcome                        safe to repeat    any other request
    it never got to a server       again             again: it was not done
    429, 503 with Retry-After      again             again: whoever says when to come back has done nothing
    502, 503, 504, 429 without     again             told at once: a proxy may have passed it on
    no answer came                 again             `AnswerLost`: it may have been done
    anything else                  told at once      told at once

Safe to repeat are questions, and orders whose second time changes nothing (`terminate`, `suspend`, folders). `create`
and `extend` are not: a job is never asked for twice unless it is known that the first time did nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from ucloud_ray.client.effects import NoAnswer, NotReached, Reply

Outcome = Reply | NotReached | NoAnswer

SAYS_WHEN = frozenset({429, 503})
PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    patience: float = 20.0
    """Seconds after which a request is given up. A restart of the orchestrator takes less. 0: no second attempt."""
    when_unreached: bool = True
    """Whether a server that nobody reaches is waited for as well."""
    first_pause: float = 0.2
    """Seconds, twice as long before each further attempt, up to `longest_pause`; a random share of it, so that many
    clients do not come back at the same moment."""
    longest_pause: float = 5.0


class Attempts:
    """Those of one request."""

    def __init__(self, rules: Retry, repeatable: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._repeatable = repeatable
        self._now = now
        self._ends = now() + rules.patience
        self._pause = rules.first_pause

    def pause_after(self, outcome: Outcome) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        if not self._again(outcome):
            return None
        told = retry_after(outcome)
        pause = self._pause * random.uniform(0.5, 1.0) if told is None else told
        self._pause = min(2 * self._pause, self._rules.longest_pause)
        return pause if self._now() + pause <= self._ends else None

    def _again(self, outcome: Outcome) -> bool:
        if isinstance(outcome, NotReached):
            return self._rules.when_unreached
        if isinstance(outcome, NoAnswer):
            return self._repeatable
        if outcome.status in SAYS_WHEN and retry_after(outcome) is not None:
            return True
        return self._repeatable and outcome.status in PASSING


def retry_after(outcome: Outcome) -> float | None:
    """Seconds. Dates, which the header may hold as well, no server of UCloud sends."""
    text = outcome.headers.get("retry-after", "") if isinstance(outcome, Reply) else ""
    return float(text) if text.isascii() and text.isdigit() else None
