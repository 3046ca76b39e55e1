"""How long a user waits for one small native job on a warm system: create accepted to RUNNING received.

Both ends are the orchestrator's: the answer to the request as the client sees it, and the time that the orchestrator
gave the update. It may be below zero, because a job may run before the answer to its creation has arrived.
"""

from __future__ import annotations

import time

from benchmarks.errors import BenchmarkError
from benchmarks.measure import percentile
from benchmarks.options import Options, say
from benchmarks.results import Figure, ScenarioResult, Setup, Target
from benchmarks.scenarios.native_batch import PROGRAM
from benchmarks.stack import DEFAULT, Stack, running
from benchmarks.user import check_succeeded

SUMMARY = "native batch job, one at a time, create accepted to RUNNING received by the orchestrator, warm"
WARM_UP = 10
QUIET_SECONDS = 0.15
"""Nobody asks anything while the job starts."""
TARGETS = {
    50: Target(50.0, "lower", "performance budget: ≤ 50 ms"),
    99: Target(150.0, "lower", "performance budget: ≤ 150 ms"),
}


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    with running(DEFAULT, [PROGRAM]) as stack:
        for _ in range(WARM_UP):
            _one(stack)
        pairs = [_one(stack) for _ in range(max(20, options.jobs // 2))]
    waits, answers = [wait for wait, _ in pairs], [answer for _, answer in pairs]
    for percent, target in TARGETS.items():
        setup.figures.append(
            Figure(f"accepted to RUNNING, p{percent}", "ms", percentile(waits, percent), target, waits)
        )
    for percent in TARGETS:
        setup.figures.append(Figure(f"create answered, p{percent}", "ms", percentile(answers, percent)))
    say(f"    p50 {percentile(waits, 50):.0f} ms, p99 {percentile(waits, 99):.0f} ms over {len(waits)} jobs")


def _one(stack: Stack) -> tuple[float, float]:
    """Milliseconds from the answer to RUNNING, and until the answer."""
    asked = time.time()
    ids = stack.user.create([PROGRAM.job()])
    answered = time.time()
    time.sleep(QUIET_SECONDS)
    stack.user.wait_until_final()
    reports = stack.user.reports(ids)
    check_succeeded(reports)
    running_at = reports[0].running_at
    if running_at is None:
        raise BenchmarkError("a job ended without having been RUNNING")
    return running_at - 1000 * answered, 1000 * (answered - asked)
