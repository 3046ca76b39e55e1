"""Many light jobs that do nothing, for the scenarios that look at what it costs to have them. Not a scenario itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from benchmarks import operator
from benchmarks.errors import BenchmarkError
from benchmarks.options import say
from benchmarks.stack import TUNED, Program, Stack, running

COUNT = 1_000
PROGRAM = Program("benchmark-sleep", "NATIVE", ("sleep", "100000"))
AT_ONCE = 50
START_SECONDS = 600.0
LOOK_SECONDS = 0.05


@contextlib.contextmanager
def asleep() -> Iterator[Stack]:
    """A stack with so many of them, every one running and watched."""
    with running(TUNED, [PROGRAM]) as stack:
        for _ in range(COUNT // AT_ONCE):
            stack.user.create([PROGRAM.job()] * AT_ONCE)
        seconds = until_watched(stack, START_SECONDS)
        say(f"    {COUNT} sleepers run and are watched {seconds:.0f} s after the last was created")
        yield stack


def until_watched(stack: Stack, patience: float) -> float:
    """Seconds until the machines say that they wait for the end of every rank. Raises `BenchmarkError`."""
    began = time.monotonic()
    seen: operator.Watched | None = None
    while seen is None or min(seen.ranks, seen.watched) < COUNT:
        if time.monotonic() - began > patience:
            raise BenchmarkError(f"not every sleeper is watched after {patience:.0f} s: {seen}")
        time.sleep(LOOK_SECONDS)
        seen = operator.watched(stack.folder / "data")
    return time.monotonic() - began
