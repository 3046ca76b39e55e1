"""Throughput of small native jobs, each created by a request of its own, until the orchestrator has the last update.

Measured with the default policy, and with one replica actor serving many ranks. Slurm gets one `sbatch` per job, Ray
Jobs one `submit_job` per job, from as many clients at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import processes
from benchmarks.measure import interleave
from benchmarks.options import Options, say, shown
from benchmarks.peers import ray_jobs, slurm
from benchmarks.results import Figure, Pairing, ScenarioResult, Setup, Target
from benchmarks.stack import DEFAULT, TUNED, Program, Stack, Tuning, running
from benchmarks.user import check_succeeded

SUMMARY = "native batch jobs per second, one HTTP request each, first request to last final update received"
PROGRAM = Program("benchmark-true", "NATIVE", ("/bin/true",))
SLURM_TARGET = Target(3.0, "higher", "performance budget: 3 × Slurm's")
RAY_TARGET = Target(50.0, "higher", "performance budget: 50 × `ray job submit`'s")
RAY_ROUNDS, RAY_JOBS = 3, 12
"""Few, because they are slow."""


def run(result: ScenarioResult, options: Options) -> None:
    for tuning in (DEFAULT, TUNED):
        setup = Setup(tuning.name, dict(tuning.policy))
        result.setups.append(setup)
        with running(tuning, [PROGRAM]) as stack:
            _measure(setup, stack, tuning, options)


def _measure(setup: Setup, stack: Stack, tuning: Tuning, options: Options) -> None:
    _round(stack, options.jobs // 2, options.connections)  # warm up
    setup.figures.extend(_cpu_by_part(stack, options))
    options.with_peer(setup, "slurm", slurm.running, lambda peer: _against_slurm(setup, stack, peer, options))
    if tuning is TUNED:
        options.with_peer(setup, "ray-jobs", ray_jobs.running, lambda peer: _against_ray(setup, stack, peer, options))


def _against_slurm(setup: Setup, stack: Stack, peer: slurm.Slurm, options: Options) -> None:
    done = 0

    def theirs(count: int = options.jobs) -> float:
        nonlocal done
        done += count
        rate = _rate(count, lambda: peer.submit_each(count, options.connections), peer.wait_until_final)
        peer.check_succeeded(done)
        return rate

    theirs(options.jobs // 4)  # warm up
    _pair(
        setup, "slurm", lambda: _round(stack, options.jobs, options.connections), theirs, options.rounds, SLURM_TARGET
    )


def _against_ray(setup: Setup, stack: Stack, peer: ray_jobs.RayJobs, options: Options) -> None:
    def theirs(count: int = RAY_JOBS) -> float:
        ids: list[str] = []
        return _rate(
            count,
            lambda: ids.extend(peer.submit_each(count, options.connections)),
            lambda: peer.wait_until_succeeded(ids),
        )

    theirs(2)  # warm up
    rounds = min(options.rounds, RAY_ROUNDS)
    _pair(setup, "ray-jobs", lambda: _round(stack, options.jobs, options.connections), theirs, rounds, RAY_TARGET)


def _pair(
    setup: Setup, peer: str, ours: Callable[[], float], theirs: Callable[[], float], rounds: int, target: Target
) -> None:
    samples = interleave({"ours": ours, peer: theirs}, rounds)
    notes = [slurm.NOTES] if peer == "slurm" else []
    setup.pairings.append(Pairing(peer, "jobs/s", samples["ours"], samples[peer], target, notes))
    say(f"    ours {shown(samples['ours'])}; {peer} {shown(samples[peer])} jobs/s")


def _round(stack: Stack, count: int, connections: int) -> float:
    user, ids = stack.user, list[str]()
    rate = _rate(count, lambda: ids.extend(user.create_each(PROGRAM.job(), count, connections)), user.wait_until_final)
    check_succeeded(user.reports(ids))
    return rate


def _rate(count: int, submit: Callable[[], object], wait: Callable[[], None]) -> float:
    """Jobs a second, from the first submission until the last is over."""
    start = time.perf_counter()
    submit()
    wait()
    return count / (time.perf_counter() - start)


def _cpu_by_part(stack: Stack, options: Options) -> list[Figure]:
    """Milliseconds of CPU per job and part, over one round of ours alone."""
    before = processes.cpu_seconds(stack.mark)
    _round(stack, options.jobs, options.connections)
    after = processes.cpu_seconds(stack.mark)
    spent = {part: 1000 * (seconds - before.get(part, 0.0)) / options.jobs for part, seconds in after.items()}
    spent["all parts"] = sum(spent.values())
    return [
        Figure(f"CPU: {part}", "ms/job", max(0.0, spent[part]))
        for part in sorted(spent, key=lambda part: spent[part], reverse=True)
    ]
