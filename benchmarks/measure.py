"""Rounds, medians and ratios. Pure but for calling what it measures.

Contenders take turns within a round, and the order is turned around from round to round, so that a machine that gets
slower or busier meanwhile is as unkind to one as to the other. The ratio is taken within a round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of a series."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises `ValueError` for an empty series."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(median(values), min(values), max(values))


def interleave(contenders: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """One figure per contender and round, in the order of the rounds."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(contenders[name]())
    return samples


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, round by round. Raises `ValueError` when a round is missing."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
