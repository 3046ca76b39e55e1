"""Programs of a peer that run for as long as it is measured: started as our children, ended in reverse order by id."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError, Unavailable

START_SECONDS = 40.0
STOP_SECONDS = 15.0


def require(*programs: str, package: str) -> None:
    """Raises `Unavailable` that names the package when one of these programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not found; install {package}")


@contextlib.contextmanager
def service(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Its process id; ended on leaving, with what it left in its session."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(command),
            env=dict(environment) if environment else None,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(answers: Callable[[], bool], what: str, log: Path, seconds: float = START_SECONDS) -> None:
    """Raises `BenchmarkError` with the end of its log."""
    deadline = time.monotonic() + seconds
    while not answers():
        if time.monotonic() > deadline:
            words = log.read_text(errors="replace")[-500:] if log.exists() else ""
            raise BenchmarkError(f"{what} did not come up within {seconds:.0f} s: {words}")
        time.sleep(0.1)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Different free ports."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
