"""What jobs that write as fast as they can do to others: how old a line is when a follower sees it, and how long starts
take, while nobody else runs, beside a container and a process that write as fast as they can, and beside the same two
writing to nowhere. The last tells how much of it is due to the output, and how much to processors that are in use.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterator

import orjson
from websockets.sync.client import connect

from benchmarks.errors import BenchmarkError
from benchmarks.measure import percentile
from benchmarks.options import Options, say
from benchmarks.peers import docker
from benchmarks.results import Figure, ScenarioResult, Setup, Target
from benchmarks.stack import CORE, DEFAULT, Program, Stack, running

SUMMARY = "follow latency and starts of other jobs, beside a container and a process that write as fast as they can"
MOST_BYTES = 1_500_000_000
"""Of each loud job, so that the disk of a small machine is not filled."""

_WRITE = f"yes {'x' * 99} | head -c {MOST_BYTES}"
_LOUD = ("/bin/sh", "-c", f"while :; do {_WRITE}; sleep 3600; done")
_BUSY = ("/bin/sh", "-c", f"while :; do {_WRITE} > /dev/null; done")
LOUD = [
    Program("loud-container", "DOCKER", _LOUD, docker.IMAGE, CORE),
    Program("loud-process", "NATIVE", _LOUD, product=CORE),
]
BUSY = [
    Program("busy-container", "DOCKER", _BUSY, docker.IMAGE, CORE),
    Program("busy-process", "NATIVE", _BUSY, product=CORE),
]
TALKER = Program("talker", "NATIVE", ("/bin/sh", "-c", "while :; do date +%s%N; sleep 0.1; done"))
QUICK_PROCESS = Program("quick-process", "NATIVE", ("/bin/sleep", "0.3"))
QUICK_CONTAINER = Program("quick-container", "DOCKER", ("/bin/sleep", "0.3"), docker.IMAGE)
PROGRAMS = [*LOUD, *BUSY, TALKER, QUICK_PROCESS, QUICK_CONTAINER]
LATENCY = Target(500.0, "lower", "LOG-9: ≤ 500 ms")
LINES = 40
STARTS = 4
WARM_UP_SECONDS = 2.0


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    options.with_peer(setup, "docker", docker.running, lambda peer: _measure(setup, peer))


def _measure(setup: Setup, peer: docker.Docker) -> None:
    with running(DEFAULT, PROGRAMS, peer.url) as stack:
        (talker,) = stack.user.create([TALKER.job()])
        _look(setup, stack, talker, "quiet", None)
        busy = stack.user.create([program.job() for program in BUSY])
        time.sleep(WARM_UP_SECONDS)
        _look(setup, stack, talker, "with busy neighbours", None)
        stack.user.terminate(busy)
        stack.user.wait_until_over(busy)
        loud = stack.user.create([program.job() for program in LOUD])
        time.sleep(WARM_UP_SECONDS)
        before = [stack.user.log_size(job) for job in loud]
        began = time.monotonic()
        _look(setup, stack, talker, "with loud neighbours", LATENCY)
        for name, job, size in zip(("container", "process"), loud, before, strict=True):
            rate = (stack.user.log_size(job) - size) / (time.monotonic() - began) / 1e6
            setup.figures.append(Figure(f"log of the loud {name}, meanwhile", "MB/s", rate))
        stack.user.terminate([talker, *loud])
        stack.user.wait_until_final()


def _look(setup: Setup, stack: Stack, talker: str, when: str, target: Target | None) -> None:
    ages = list(_ages(stack, talker))
    figures = [
        Figure(f"age of a line at its follower, {when}, p50", "ms", percentile(ages, 50), None, ages),
        Figure(f"age of a line at its follower, {when}, p99", "ms", percentile(ages, 99), target),
    ]
    for name, program in (("process", QUICK_PROCESS), ("container", QUICK_CONTAINER)):
        starts = [_start(stack, program) for _ in range(STARTS)]
        figures.append(Figure(f"start of a {name}, {when}, p50", "ms", percentile(starts, 50), None, starts))
    setup.figures += figures
    for figure in figures:
        say(f"    {figure.name}: {figure.value:.0f} ms")


def _start(stack: Stack, program: Program) -> float:
    """Milliseconds from the request to RUNNING received by the orchestrator."""
    asked = time.time()
    ids = stack.user.create([program.job()])
    deadline = time.monotonic() + 60
    while (running_at := stack.user.reports(ids)[0].running_at) is None:
        if time.monotonic() > deadline:
            raise BenchmarkError("a job did not start; see the logs")
        time.sleep(0.02)
    return running_at - 1000 * asked


def _ages(stack: Stack, job: str) -> Iterator[float]:
    """Milliseconds between the moment that a line names and the moment that it is here; the replayed past left out."""
    with contextlib.closing(_lines(stack, job)) as lines:
        opened = time.time_ns()
        told = 0
        for line in lines:
            if int(line) > opened:
                yield (time.time_ns() - int(line)) / 1e6
                told += 1
            if told == LINES:
                return


def _lines(stack: Stack, job: str) -> Generator[str, None, None]:
    url = f"ws{stack.user.url.removeprefix('http')}/api/jobs"
    request = {"call": "jobs.follow", "streamId": "0", "payload": {"id": job}, "bearer": stack.user.token}
    rest = ""
    with connect(url, max_size=None, compression=None, proxy=None) as socket:
        socket.send(json.dumps({**request, "project": None}))
        while True:
            frame = orjson.loads(socket.recv(30.0, decode=False))
            for entry in (frame.get("payload") or {}).get("log") or []:
                *whole, rest = (rest + (entry["stdout"] or "")).split("\n")
                yield from whole
