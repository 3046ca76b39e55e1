"""How much ucloud-ray adds to the start of a container: create sent to RUNNING received, against `docker run -d`.

Both use the same daemon, the same image and no network, in turns. Ours ends by the time that the orchestrator gave the
update; theirs when the client returns. Containers are removed between the measurements.
"""

from __future__ import annotations

import time

from benchmarks.errors import BenchmarkError
from benchmarks.measure import interleave
from benchmarks.options import Options, say, shown
from benchmarks.peers import docker
from benchmarks.results import Figure, Pairing, ScenarioResult, Setup, Target
from benchmarks.stack import DEFAULT, Program, Stack, running
from benchmarks.user import check_succeeded

SUMMARY = "container, create sent to RUNNING received by the orchestrator, against bare `docker run -d`"
COMMAND = ("/bin/sleep", "1")
PROGRAM = Program("benchmark-container", "DOCKER", COMMAND, docker.IMAGE)
TARGET = Target(1.15, "lower", "performance budget: ≤ 1.15 ×")
WARM_UP = 3


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(DEFAULT.name, dict(DEFAULT.policy))
    result.setups.append(setup)
    options.with_peer(setup, "docker", docker.running, lambda peer: _measure(setup, peer, options))


def _measure(setup: Setup, peer: docker.Docker, options: Options) -> None:
    with running(DEFAULT, [PROGRAM], peer.url) as stack:
        for _ in range(WARM_UP):
            _ours(stack)
            _theirs(peer)
        samples = interleave({"ours": lambda: _ours(stack), "docker": lambda: _theirs(peer)}, 4 * options.rounds)
    pairing = Pairing("docker", "ms", samples["ours"], samples["docker"], TARGET)
    setup.pairings.append(pairing)
    say(f"    ours {shown(samples['ours'])}; docker {shown(samples['docker'])} ms")
    added = [mine - other for mine, other in zip(pairing.ours, pairing.theirs, strict=True)]
    setup.figures.append(Figure("added to a start, median", "ms", sorted(added)[len(added) // 2]))


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


def _theirs(peer: docker.Docker) -> float:
    start = time.perf_counter()
    container = peer.run_detached(*COMMAND)
    elapsed = time.perf_counter() - start
    time.sleep(float(COMMAND[1]))  # let it end, as ours has
    peer.remove(container)
    return 1000 * elapsed
