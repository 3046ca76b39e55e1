"""One child process of `up`: its command, its log file, starting and stopping it. Called by `minder` only.

A child runs in a session of its own, so that Ctrl-C in a terminal reaches the minder alone and the order of stopping
is the minder's. What a child leaves behind in that session is killed with it; workloads are in sessions of their own
and stay (D1).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_LOG_BYTES = 20 * 1024 * 1024
"""A log file that is larger when its part starts is put aside as `NAME.log.1`, replacing the one before."""


@dataclass(frozen=True, slots=True)
class PartSpec:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    answers: Callable[[], bool]
    """Whether the part is of use now. Called every few hundred milliseconds until it is; must not block for long."""
    stop_seconds: float = 15.0
    """Between SIGTERM and SIGKILL."""
    responds: Callable[[], bool] | None = None
    """Whether it answers anything at all, once it has been of use; must not block for more than seconds. None: a part
    that runs is taken for alive."""
    needs: str | None = None
    """Name of a part without which this one is of no use: it is started again after that one answers again."""


def python_command() -> list[str]:
    """`ucloud-ray` as this interpreter runs it; -P so that a folder named like a module is not taken for one."""
    return [sys.executable, "-P", "-m", "ucloud_ray"]


class Part:
    def __init__(self, spec: PartSpec, logs_dir: Path) -> None:
        self.spec = spec
        self.log_file = logs_dir / f"{spec.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        _rotate(self.log_file)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command,
                env=dict(self.spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def exit_status(self) -> int | None:
        """None while it runs, and before it was ever started."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Returns when nothing of it runs. May be called twice."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(self.spec.stop_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.sweep()

    def kill(self) -> None:
        """At once; its end is noticed as any other."""
        if self._process is not None:
            self._process.kill()

    def sweep(self) -> None:
        """Kill what a part that is gone left in its session, for example a daemon whose parent was killed."""
        if self._process is not None:
            sweep(self._process.pid)

    def last_lines(self, count: int = 8) -> list[str]:
        return tail(self.log_file, count)


def sweep(session: int) -> None:
    """Kill every process of that session."""
    for pid in session_members(session):
        _kill(pid)


def session_members(session: int) -> list[int]:
    """Living processes of that session. The number of a dead leader is not used again while it has members."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _lives_in(entry, session)]


def _lives_in(process: Path, session: int) -> bool:
    try:
        state, _, _, its_session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return False
    return int(its_session) == session and state not in "ZX"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def tail(file: Path, count: int) -> list[str]:
    """The last non-empty lines of a log, at most the last 64 KiB of it."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - 65536))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _rotate(file: Path) -> None:
    if file.exists() and file.stat().st_size > MAX_LOG_BYTES:
        os.replace(file, file.with_name(f"{file.name}.1"))
