"""Throughput of small native jobs that one request creates, against one `sbatch --array`."""

from __future__ import annotations

import time

from benchmarks.measure import interleave
from benchmarks.options import Options, say, shown
from benchmarks.peers import slurm
from benchmarks.results import Pairing, ScenarioResult, Setup, Target
from benchmarks.scenarios.native_batch import PROGRAM
from benchmarks.stack import TUNED, Stack, running
from benchmarks.user import check_succeeded

SUMMARY = "native batch jobs per second, one bulk request for all, request to last final update received"
TARGET = Target(3.0, "higher", "our own bound: as for single jobs")


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(TUNED.name, dict(TUNED.policy))
    result.setups.append(setup)
    with running(TUNED, [PROGRAM]) as stack:
        _ours(stack, options.jobs // 2)  # warm up
        options.with_peer(setup, "slurm", slurm.running, lambda peer: _against_slurm(setup, stack, peer, options))


def _against_slurm(setup: Setup, stack: Stack, peer: slurm.Slurm, options: Options) -> None:
    done = 0

    def theirs(count: int = options.jobs) -> float:
        nonlocal done
        done += count
        start = time.perf_counter()
        peer.submit_array(count)
        peer.wait_until_final()
        rate = count / (time.perf_counter() - start)
        peer.check_succeeded(done)
        return rate

    theirs(options.jobs // 4)  # warm up
    samples = interleave({"ours": lambda: _ours(stack, options.jobs), "slurm": theirs}, options.rounds)
    setup.pairings.append(Pairing("slurm", "jobs/s", samples["ours"], samples["slurm"], TARGET, [slurm.NOTES]))
    say(f"    ours {shown(samples['ours'])}; slurm {shown(samples['slurm'])} jobs/s")


def _ours(stack: Stack, count: int) -> float:
    start = time.perf_counter()
    ids = stack.user.create([PROGRAM.job()] * count)
    stack.user.wait_until_final()
    rate = count / (time.perf_counter() - start)
    check_succeeded(stack.user.reports(ids))
    return rate
