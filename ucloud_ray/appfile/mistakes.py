"""What is wrong with a file, and where: collected, never raised, so that one look finds everything."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 100
"""Of one file; who made more of them has misunderstood something greater."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """In a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    place: Place
    message: str
    remedy: str

    @property
    def text(self) -> str:
        return f"{self.message}; {self.remedy}"

    def to_json(self) -> dict[str, Any]:
        place = {"line": self.place.line, "column": self.place.column}
        return {**place, "message": self.message, "remedy": self.remedy}


class Mistakes:
    def __init__(self) -> None:
        self._found: set[Mistake] = set()

    def add(self, place: Place, message: str, remedy: str) -> None:
        self._found.add(Mistake(place, message, remedy))

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> list[Mistake]:
        """By place, at most `MOST`."""
        return sorted(self._found)[:MOST]


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'title'?`, or the other remedy."""
    meant = closest(word, known)
    return otherwise if meant is None else f"did you mean '{meant}'?"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one that was probably meant."""
    by_lower = {one.lower(): one for one in reversed(list(known))}  # of equal ones the first counts
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def listed(known: Iterable[str]) -> str:
    return ", ".join(known)
