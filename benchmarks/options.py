"""What whoever runs the benchmarks may choose, as the scenarios see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.errors import Unavailable
from benchmarks.results import Setup

Peer = TypeVar("Peer")


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int = 5
    jobs: int = 300
    """Per round of a throughput scenario; latency scenarios take a fraction of it."""
    connections: int = 8
    """Of the script that creates jobs, and `sbatch` programs at the same time."""
    against: frozenset[str] | None = None
    """Peers that are measured; None is all."""

    def wants(self, peer: str) -> bool:
        return self.against is None or peer in self.against

    def with_peer(
        self,
        setup: Setup,
        peer: str,
        start: Callable[[], AbstractContextManager[Peer]],
        measure: Callable[[Peer], None],
    ) -> None:
        """Measure against a peer if it is wanted and there; keep the reason if it is not."""
        if not self.wants(peer):
            return
        try:
            with start() as running:
                say(f"  {setup.name}, against {peer}")
                measure(running)
        except Unavailable as reason:
            setup.skipped[peer] = str(reason)
            say(f"  {peer} is skipped: {reason}")


def say(text: str) -> None:
    """About the work, for people; results go to files and standard output."""
    print(text, file=sys.stderr, flush=True)


def shown(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
