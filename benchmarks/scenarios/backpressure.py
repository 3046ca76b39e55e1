"""What 10,000 waiting jobs, a Core that hangs and followers that never read cost: memory, and the time of `create`.

Every job waits, because one job occupies all that is sold. The Core is stopped, not ended, which is worse: calls to it
hang until they are given up. Meanwhile jobs are created as it would do it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from websockets.sync.client import ClientConnection, connect

from benchmarks import processes
from benchmarks.core import Core
from benchmarks.errors import BenchmarkError
from benchmarks.measure import interleave, percentile
from benchmarks.options import Options, say
from benchmarks.results import Figure, ScenarioResult, Setup, Target
from benchmarks.stack import DEFAULT, EVERYTHING, Program, Stack, Tuning, running

SUMMARY = "memory and create: 10,000 jobs in the queue, 1,000 updates waiting, followers that never read"
QUEUED = 10_000
BULK, AT_ONCE = 250, 2
UPDATES = 1_000
FOLLOWERS = 10
GIGABYTES = 2
SIZE = GIGABYTES * 1_000_000_000

WAITER = Program("waiter", "NATIVE", ("/bin/sleep", "1"))
QUICK = Program("quick", "NATIVE", ("/bin/true",))
BLOCKER = Program("blocker", "NATIVE", ("/bin/sleep", "100000"), product=EVERYTHING)
LOUD = Program("loud", "NATIVE", ("/bin/sh", "-c", f"yes {'x' * 99} | head -c {SIZE}; sleep 100000"))
WHOLE_LOG = Tuning("the whole log is replayed", {"logReplayBytes": 2 * SIZE})

RATIO = Target(1.2, "lower", "performance budget: ≤ 1.2 ×")
PER_JOB = Target(20.0, "lower", "performance budget: ≤ 20 KB")
OURS = ("supervisor", "provider front end", "orchestrator", "node agent")
SETTLE_SECONDS = 8.0
PATIENCE_SECONDS = 120.0

Memory = dict[str, float]
"""Part to megabytes that are its own."""


def run(result: ScenarioResult, options: Options) -> None:
    queue = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(queue)
    with running(DEFAULT, [WAITER, BLOCKER]) as idle, running(DEFAULT, [WAITER, BLOCKER]) as stack:
        _measure_queue(queue, idle, stack, options.jobs)
    follow = Setup(WHOLE_LOG.name, dict(WHOLE_LOG.policy))
    result.setups.append(follow)
    with running(WHOLE_LOG, [LOUD, QUICK]) as stack:
        _measure_followers(follow, stack, options.jobs)


# ------------------------------------------------------------------------------------------------------- queue


def _measure_queue(setup: Setup, idle: Stack, stack: Stack, count: int) -> None:
    """`idle`: an installation whose queue stays short, which is asked in turns: what else the machine does at that
    moment is the same for both."""
    for one in (idle, stack):
        _occupy(one)
        _user_create(one)  # so that everything has been used once
    core = Core(stack.folder / "data", stack.user.whole_job(stack.user.create([WAITER.job()])[0]))
    before = _memory(stack)
    _fill(stack, QUEUED)
    time.sleep(SETTLE_SECONDS)
    after = _memory(stack)
    turns = interleave({"empty": lambda: _user_create(idle), "full": lambda: _user_create(stack)}, count)
    _tell(setup, "with an empty queue", turns["empty"])
    _tell(setup, f"with {QUEUED} in the queue", turns["full"])
    ratio = percentile(turns["full"], 50) / percentile(turns["empty"], 50)
    _add(setup, "create with them, against an empty queue, p50", "×", ratio, RATIO)
    per_job = 1000 * (after["supervisor"] - before["supervisor"]) / QUEUED
    _add(setup, "supervisor, for each live job", "KB", per_job, PER_JOB)
    _show(setup, before, after, f"with {QUEUED} in the queue")
    with _stopped(stack, "orchestrator"):
        _tell(setup, "at the provider, Core stopped", [core.create() for _ in range(UPDATES // 2)])
        _show(setup, after, _memory(stack), f"with {UPDATES} updates waiting, too")


def _occupy(stack: Stack) -> None:
    """Until nothing else has room."""
    ids = stack.user.create([BLOCKER.job()])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stack.user.reports(ids)[0].running_at is None:
        if time.monotonic() > deadline:
            raise BenchmarkError("the job that is to occupy everything does not start; see the logs")
        time.sleep(0.1)


def _fill(stack: Stack, count: int) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: stack.user.create([WAITER.job()] * BULK), range(count // BULK)))
    say(f"    {count} jobs are queued after {time.monotonic() - began:.0f} s")


def _user_create(stack: Stack, program: Program = WAITER) -> float:
    """Seconds, the whole way of a user's request."""
    began = time.perf_counter()
    stack.user.create([program.job()])
    return time.perf_counter() - began


def _tell(setup: Setup, when: str, seconds: list[float]) -> None:
    """Of creates one after the other, so that nobody waits for anybody but the system."""
    millis = [1000 * one for one in seconds]
    _add(setup, f"create {when}, p50", "ms", percentile(millis, 50), samples=millis)
    _add(setup, f"create {when}, p99", "ms", percentile(millis, 99))


@contextlib.contextmanager
def _stopped(stack: Stack, part: str) -> Iterator[None]:
    pids = [pid for pid, name in processes.marked(stack.mark).items() if name == part]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it was taken for hanging, and started again
                os.kill(pid, signal.SIGCONT)


# --------------------------------------------------------------------------------------------------- followers


def _measure_followers(setup: Setup, stack: Stack, count: int) -> None:
    (loud,) = stack.user.create([LOUD.job()])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stack.user.log_size(loud) < SIZE:
        if time.monotonic() > deadline:
            raise BenchmarkError("the log does not become whole; see the logs")
        time.sleep(0.5)
    quiet = [_user_create(stack, QUICK) for _ in range(count)]
    _tell(setup, "without a follower", quiet)
    time.sleep(SETTLE_SECONDS)
    before = _memory(stack)
    with contextlib.ExitStack() as sockets:
        for _ in range(FOLLOWERS):
            sockets.enter_context(_follow(stack, loud))
        time.sleep(SETTLE_SECONDS)
        _show(setup, before, _memory(stack), f"with {FOLLOWERS} followers of {GIGABYTES} GB that never read")
        stuck = [_user_create(stack, QUICK) for _ in range(count)]
        _tell(setup, "with followers that never read", stuck)
        _add(setup, "create with them, against without, p50", "×", percentile(stuck, 50) / percentile(quiet, 50))
    time.sleep(SETTLE_SECONDS)
    _show(setup, before, _memory(stack), "after they have left")


def _follow(stack: Stack, job: str) -> ClientConnection:
    """Its library reads a few frames ahead, and then nothing more."""
    socket = connect(f"ws{stack.user.url.removeprefix('http')}/api/jobs", max_size=None, compression=None, proxy=None)
    request = {"call": "jobs.follow", "streamId": "0", "payload": {"id": job}, "bearer": stack.user.token}
    socket.send(json.dumps({**request, "project": None}))
    return socket


# ----------------------------------------------------------------------------------------------------- figures


def _memory(stack: Stack) -> Memory:
    sizes: Memory = dict.fromkeys(OURS, 0.0)
    for pid, part in processes.marked(stack.mark).items():
        found = processes.memory_mib(pid)
        if part in sizes and found is not None:
            sizes[part] += found[1] * 1.048576
    return sizes


def _show(setup: Setup, before: Memory, after: Memory, when: str) -> None:
    for part in OURS:
        _add(setup, f"{part}, {when}", "MB", after[part])
        _add(setup, f"{part}, {when}: more than before", "MB", after[part] - before[part])


def _add(
    setup: Setup, name: str, unit: str, value: float, target: Target | None = None, samples: list[float] | None = None
) -> None:
    setup.figures.append(Figure(name, unit, value, target, samples or []))
    say(f"    {name}: {value:.2f} {unit}")
