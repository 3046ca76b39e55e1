"""How long it takes until every one of 1,000 running light jobs is watched again, after a crash of ours.

Killed without a word: the supervisor, then the whole of Ray, replica actors and all. Watched means that the machine
where a job runs waits for its end on behalf of the new supervisor; the machines are asked, nobody's books are believed.
CPU is that of all parts, because other work on the machine stretches the time on the wall.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from benchmarks import processes
from benchmarks.errors import BenchmarkError
from benchmarks.measure import percentile
from benchmarks.options import Options, say, shown
from benchmarks.results import Figure, ScenarioResult, Setup, Target
from benchmarks.scenarios import sleepers
from benchmarks.stack import TUNED, Stack
from ucloud_ray.cli import state_file
from ucloud_ray.cli.parts import session_members

SUMMARY = f"{sleepers.COUNT} running sleepers, kill -9 until every one is watched again"
TARGET = Target(5.0, "lower", "performance budget: ≤ 5 s")
PATIENCE_SECONDS = 120.0
SETTLE_SECONDS = 3.0


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(TUNED.name, dict(TUNED.policy))
    result.setups.append(setup)
    with sleepers.asleep() as stack:
        _measure(setup, stack, "the supervisor", _supervisor, options.rounds, TARGET)
        _measure(setup, stack, "all of Ray", _all_of_ray, options.rounds, None)


def _measure(
    setup: Setup, stack: Stack, what: str, victims: Callable[[Stack], list[int]], rounds: int, target: Target | None
) -> None:
    seconds, spent = [], []
    for _ in range(rounds):
        time.sleep(SETTLE_SECONDS)
        one, cpu = _restart(stack, victims(stack))
        seconds.append(one)
        spent.append(cpu)
    say(f"    {what}: watched again after {shown(seconds)} s; CPU {shown(spent)} s")
    setup.figures.append(Figure(f"{what}: until watched", "s", percentile(seconds, 50), target, seconds))
    setup.figures.append(Figure(f"{what}: CPU of all parts meanwhile", "s", percentile(spent, 50), None, spent))


def _restart(stack: Stack, victims: list[int]) -> tuple[float, float]:
    """Seconds until every job is watched again, and CPU seconds of all parts."""
    if not victims:
        raise BenchmarkError("there is nobody to kill")
    before = _cpu(stack, without=victims)
    began = time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    _until_gone(victims)
    sleepers.until_watched(stack, PATIENCE_SECONDS)
    return time.monotonic() - began, _cpu(stack) - before


def _cpu(stack: Stack, without: list[int] | None = None) -> float:
    """Of the living processes but these. What a process used before it was killed is nobody's now."""
    return sum(processes.cpu_of(pid) or 0.0 for pid in processes.marked(stack.mark) if pid not in (without or ()))


def _until_gone(pids: list[int]) -> None:
    while any(processes.cpu_of(pid) is not None and not processes.is_zombie(pid) for pid in pids):
        time.sleep(0.005)


def _supervisor(stack: Stack) -> list[int]:
    return [pid for pid, part in processes.marked(stack.mark).items() if part == "supervisor"]


def _all_of_ray(stack: Stack) -> list[int]:
    state = state_file.read(stack.folder / "data")
    return session_members(state.parts["ray"].pid) if state else []
