"""Finds what a user probably meant. Used by every command that takes a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def hint(name: str, known: Iterable[str], list_command: str) -> str:
    """`did you mean ...?`, or how to see the names that exist."""
    lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f"did you mean '{lower[near[0]]}'?" if near else f"see `{list_command}`"
