"""What may go wrong in a benchmark, in words for who runs it.

BenchmarkError      1   the run cannot go on
├── Unavailable     -   a peer or a part is not there; what needs it is skipped, and the reason is kept
└── UsageMistake    2   an unknown scenario, peer or file
"""

from __future__ import annotations


class BenchmarkError(Exception):
    exit_status = 1


class Unavailable(BenchmarkError):
    """The message names what to install or start."""


class UsageMistake(BenchmarkError):
    exit_status = 2
