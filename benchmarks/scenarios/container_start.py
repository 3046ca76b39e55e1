"""How much ucloud-ray adds to the start of a container: create sent to RUNNING received, against `docker run -d`.

Both use the same daemon, the same image and the same options (read off a container of ours), in turns. Ours ends by the
time that the orchestrator gave the update; theirs when the client returns. Containers are removed between the
measurements.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.measure import interleave
from benchmarks.options import Options, say, shown
from benchmarks.peers import docker, docker_options
from benchmarks.results import Figure, Pairing, ScenarioResult, Setup, Target
from benchmarks.stack import DEFAULT, Program, Stack, running
from benchmarks.user import check_succeeded

SUMMARY = "container, create sent to RUNNING received by the orchestrator, against bare `docker run -d`"
COMMAND = ("/bin/sleep", "1")
PROGRAM = Program("benchmark-container", "DOCKER", COMMAND, docker.IMAGE)
TARGET = Target(1.15, "lower", "performance budget: ≤ 1.15 ×")
WARM_UP = 3
APPEARS_SECONDS = 30.0


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    options.with_peer(setup, "docker", docker.running, lambda peer: _measure(setup, peer, options))


def _measure(setup: Setup, peer: docker.Docker, options: Options) -> None:
    with running(DEFAULT, [PROGRAM], peer.url) as stack, _same_options(stack, peer) as same:
        for _ in range(WARM_UP):
            _ours(stack)
            _theirs(peer, same)
        samples = interleave({"ours": lambda: _ours(stack), "docker": lambda: _theirs(peer, same)}, 4 * options.rounds)
    pairing = Pairing("docker", "ms", samples["ours"], samples["docker"], TARGET)
    setup.pairings.append(pairing)
    say(f"    ours {shown(samples['ours'])}; docker {shown(samples['docker'])} ms")
    added = [mine - other for mine, other in zip(pairing.ours, pairing.theirs, strict=True)]
    setup.figures.append(Figure("added to a start, median", "ms", sorted(added)[len(added) // 2]))


@contextlib.contextmanager
def _same_options(stack: Stack, peer: docker.Docker) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory(prefix="ucbench-options-") as folder:
        Path(folder).chmod(0o755)
        (job,) = stack.user.create([PROGRAM.job()])
        yield docker_options.same_options(_seen(peer, f"ucloud-ray/job={job}"), Path(folder))


def _seen(peer: docker.Docker, label: str) -> docker_options.Inspected:
    deadline = time.monotonic() + APPEARS_SECONDS
    while (inspected := peer.inspect_labelled(label)) is None:
        if time.monotonic() > deadline:
            raise BenchmarkError("our container did not appear; see the logs")
    return docker_options.read(inspected)


def _ours(stack: Stack) -> float:
    asked = time.time()
    ids = stack.user.create([PROGRAM.job()])
    time.sleep(float(COMMAND[1]))  # nobody asks anything while it starts
    stack.user.wait_until_final()
    reports = stack.user.reports(ids)
    check_succeeded(reports)
    if reports[0].running_at is None:
        raise BenchmarkError("a container ended without having been RUNNING")
    return reports[0].running_at - 1000 * asked


def _theirs(peer: docker.Docker, same: list[str]) -> float:
    start = time.perf_counter()
    container = peer.run_detached(same, *COMMAND)
    elapsed = time.perf_counter() - start
    time.sleep(float(COMMAND[1]))  # let it end, as ours has
    peer.remove(container)
    return 1000 * elapsed
