"""What the control plane uses while 1,000 light jobs sleep and nobody asks anything. Ray's own processes apart: they
use as much without any job, and so does Ray's loop in each of our actors, which is told apart.
"""

from __future__ import annotations

import time

from benchmarks import processes
from benchmarks.options import Options, say
from benchmarks.results import Figure, ScenarioResult, Setup, Target
from benchmarks.scenarios import sleepers
from benchmarks.stack import TUNED, running

SUMMARY = f"CPU of each part while {sleepers.COUNT} jobs sleep, in per cent of one core"
TARGET = Target(2.0, "lower", "performance budget: ≤ 2 % of one core")
SETTLE_SECONDS = 180.0
"""Until what is looked at often at first is looked at seldom."""
SECONDS = 60.0
RAY = "Ray: "
LOOPS = "Ray's loop in our actors"
EMPTY_SETTLE_SECONDS = 20.0


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(TUNED.name, dict(TUNED.policy))
    result.setups.append(setup)
    with running(TUNED, []) as stack:
        time.sleep(EMPTY_SETTLE_SECONDS)
        _add(setup, "without a job", _shares(stack.mark), None)
    with sleepers.asleep() as stack:
        time.sleep(SETTLE_SECONDS)
        _add(setup, "asleep", _shares(stack.mark), TARGET)


def _shares(mark: str) -> dict[str, float]:
    """Part to per cent of a core over a minute."""
    before, began = _seconds(mark), time.monotonic()
    time.sleep(SECONDS)
    after, elapsed = _seconds(mark), time.monotonic() - began
    return {part: 100 * (seconds - before.get(part, 0.0)) / elapsed for part, seconds in after.items()}


def _seconds(mark: str) -> dict[str, float]:
    return processes.cpu_seconds_of_living(mark) | {LOOPS: processes.cpu_of_ray_loops(mark)}


def _add(setup: Setup, when: str, shares: dict[str, float], target: Target | None) -> None:
    for part in sorted(shares):
        setup.figures.append(Figure(f"{when}: {part}", "%", shares[part]))
    loops = shares.pop(LOOPS)
    ours = sum(share for part, share in shares.items() if not part.startswith(RAY))
    setup.figures.append(Figure(f"{when}: all of ours", "%", ours, target))
    setup.figures.append(Figure(f"{when}: all of ours but Ray's loop in actors", "%", ours - loops))
    say(
        f"    {when}: ours {ours:.2f} % of a core, {loops:.2f} % of it Ray's loop in our actors; Ray's own processes "
        f"{sum(shares.values()) - ours:.2f} %"
    )
