"""What each part of an idle installation holds in memory, after it has run some jobs. Ray's own processes apart.

PSS shares what several processes map among them; RSS counts it in each.
"""

from __future__ import annotations

import time
from collections import defaultdict

from benchmarks import processes
from benchmarks.options import Options, say
from benchmarks.results import Figure, ScenarioResult, Setup
from benchmarks.scenarios.native_batch import PROGRAM
from benchmarks.stack import DEFAULT, running

SUMMARY = "resident and proportional memory of each part, idle after a few jobs"
JOBS = 20
SETTLE_SECONDS = 3.0
RAY = "Ray: "


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    with running(DEFAULT, [PROGRAM]) as stack:
        stack.user.create_each(PROGRAM.job(), JOBS, options.connections)
        stack.user.wait_until_final()
        time.sleep(SETTLE_SECONDS)  # what the last job held is given back
        parts = _by_part(stack.mark)
    for name in sorted(parts):
        _add(setup, name, parts[name])
    _add(setup, "all of ours", [sizes for name in parts if not name.startswith(RAY) for sizes in parts[name]])
    _add(setup, "all of Ray's own", [sizes for name in parts if name.startswith(RAY) for sizes in parts[name]])


def _by_part(mark: str) -> dict[str, list[tuple[float, float]]]:
    """Part to RSS and PSS of each of its processes."""
    parts: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for pid, part in processes.marked(mark).items():
        sizes = processes.memory_mib(pid)
        if sizes is not None:
            parts[part].append(sizes)
    return dict(parts)


def _add(setup: Setup, name: str, sizes: list[tuple[float, float]]) -> None:
    label = f"{name} ({len(sizes)} processes)" if len(sizes) != 1 else name
    rss, pss = sum(size for size, _ in sizes), sum(size for _, size in sizes)
    setup.figures.append(Figure(f"RSS: {label}", "MiB", rss))
    setup.figures.append(Figure(f"PSS: {label}", "MiB", pss))
    say(f"    {label:40} RSS {rss:7.1f} MiB, PSS {pss:7.1f} MiB")
