"""What an inspection saw, and what was wrong with it. Collected, not asserted one by one: the whole picture helps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    counts: Counter[str] = field(default_factory=Counter)
    """What was looked at, for the report."""
    wrong: list[str] = field(default_factory=list)

    def check(self, right: bool, otherwise: str) -> None:
        if not right:
            self.wrong.append(otherwise)

    def words(self) -> str:
        """`23 jobs with 31 starts and 60,412 lines, each once; ...`, for the cell of a report."""
        c = self.counts
        charges = f"{c['charges']} charges, equal to what ran; " if c["charges"] else ""
        return (
            f"{c['jobs']} jobs, each with one final state and the right reason; {c['starts']} starts, one per rank and "
            f"life; {c['lines']:,} lines of output, each once and in order; {c['updates']} updates in order; "
            f"{charges}nothing left"
        )
