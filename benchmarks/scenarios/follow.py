"""How fast one reader gets a container's output through the follow of an end user, against `docker logs -f`.

Two containers write the same log and then sleep: a job of ours, and one of Docker's own with the log driver `local`,
its fastest that can be read. Both logs are read from their beginning, in turns, until every byte is there. Ours goes
through relay, provider and orchestrator, as text in JSON over two WebSockets; theirs from the daemon.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator

import orjson
from websockets.sync.client import connect

from benchmarks.errors import BenchmarkError
from benchmarks.measure import interleave
from benchmarks.options import Options, say, shown
from benchmarks.peers import docker
from benchmarks.results import Figure, Pairing, ScenarioResult, Setup, Target
from benchmarks.stack import CORE, Program, Stack, Tuning, running

SUMMARY = "a container's log of lines of 100 bytes, to one reader, against `docker logs -f` of a bare container"
MEGABYTES = 100
SIZE = MEGABYTES * 1_000_000
LINE = "x" * 99
COMMAND = ("/bin/sh", "-c", f"yes {LINE} | head -c {SIZE}; sleep 3600")
PROGRAM = Program("benchmark-log", "DOCKER", COMMAND, docker.IMAGE, CORE)
WHOLE_LOG = Tuning("the whole log is replayed", {"logReplayBytes": 2 * SIZE})
UNROTATED = ("--log-driver=local", "--log-opt=max-size=1024m", "--log-opt=max-file=2", "--log-opt=compress=false")
TARGET = Target(0.5, "higher", "performance budget: ≥ 0.5 ×")
WRITTEN_SECONDS = 120.0
QUIET_SECONDS = 30.0


def run(result: ScenarioResult, options: Options) -> None:
    setup = Setup(WHOLE_LOG.name, dict(WHOLE_LOG.policy))
    result.setups.append(setup)
    options.with_peer(setup, "docker", docker.running, lambda peer: _measure(setup, peer, options))


def _measure(setup: Setup, peer: docker.Docker, options: Options) -> None:
    with running(WHOLE_LOG, [PROGRAM], peer.url) as stack:
        (job,) = stack.user.create([PROGRAM.job()])
        written = _wait_until_written(stack, job)
        container = peer.run_detached(["--network=none", "--init", *UNROTATED], *COMMAND)
        _theirs(peer, container)  # which follows it until it has written everything
        contenders = {"ours": lambda: _ours(stack, job), "docker": lambda: _theirs(peer, container)}
        samples = interleave(contenders, options.rounds)
        peer.remove(container)
        stack.user.terminate([job])
        stack.user.wait_until_final()
    setup.pairings.append(Pairing("docker", "MB/s", samples["ours"], samples["docker"], TARGET))
    setup.figures.append(Figure("written and seen in the job's log", "MB/s", written))
    say(f"    ours {shown(samples['ours'])}; docker {shown(samples['docker'])} MB/s")


def _wait_until_written(stack: Stack, job: str) -> float:
    """Megabytes per second from the request to the last byte, the start of the container included."""
    began = time.monotonic()
    while stack.user.log_size(job) < SIZE:
        if time.monotonic() - began > WRITTEN_SECONDS:
            raise BenchmarkError("the log does not become whole; see the logs")
        time.sleep(0.2)
    return MEGABYTES / (time.monotonic() - began)


def _ours(stack: Stack, job: str) -> float:
    began = time.monotonic()
    received = sum(map(len, _texts(stack, job)))
    if received != SIZE:
        raise BenchmarkError(f"{received} of {SIZE} bytes were received")
    return MEGABYTES / (time.monotonic() - began)


def _texts(stack: Stack, job: str) -> Iterator[str]:
    """Until all of it was seen."""
    url = f"ws{stack.user.url.removeprefix('http')}/api/jobs"
    request = {"call": "jobs.follow", "streamId": "0", "payload": {"id": job}, "bearer": stack.user.token}
    received = 0
    with connect(url, max_size=None, compression=None, proxy=None) as socket:
        socket.send(json.dumps({**request, "project": None}))
        while received < SIZE:
            frame = orjson.loads(socket.recv(QUIET_SECONDS, decode=False))
            for entry in (frame.get("payload") or {}).get("log") or []:
                received += len(entry["stdout"] or "")
                yield entry["stdout"] or ""


def _theirs(peer: docker.Docker, container: str) -> float:
    began = time.monotonic()
    left = SIZE
    with subprocess.Popen(peer.command("logs", "--follow", container), stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        while left > 0 and (data := os.read(reader.stdout.fileno(), 1 << 20)):
            left -= len(data)
        elapsed = time.monotonic() - began
        reader.terminate()
    if left:
        raise BenchmarkError(f"`docker logs` ended {left} bytes early")
    return MEGABYTES / elapsed
