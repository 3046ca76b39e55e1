"""`up.json` below the data folder: what `up` started and where it answers. Written by the minder, read by everything.

Not the truth about jobs (that is the store); losing this file loses nothing but convenience.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE_NAME = "up.json"


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    started: str
    """The machine's start and the clock ticks since: whoever sets the machine's clock does not change it."""

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Raises `ProcessLookupError` when there is no such process."""
        try:
            _, started = _about(pid)
        except FileNotFoundError as error:
            raise ProcessLookupError(pid) from error
        return cls(pid, started)

    def alive(self) -> bool:
        try:
            state, started = _about(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return started == self.started and state not in "ZX"

    def terminate(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL; returns when it is gone. One that is gone is success."""
        import psutil

        if not self.alive():
            return
        try:
            process = psutil.Process(self.pid)
            process.terminate()
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
        except psutil.NoSuchProcess:
            return


def _about(pid: int) -> tuple[str, str]:
    """State of a process, and its start. Raises `FileNotFoundError` or `ProcessLookupError` if there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], f"{_boot_id()} {fields[19]}"


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class UpState:
    minder: ProcessMark
    ready: bool
    """Whether everything has answered once."""
    orchestrator_url: str
    provider_url: str
    ray_address: str
    parts: dict[str, ProcessMark] = field(default_factory=dict)
    failure: str = ""
    """Why the minder gives up; it is stopping everything then, or has."""


def write(data_dir: Path, state: UpState) -> None:
    """Whole or not at all: a reader never sees half a file."""
    target = data_dir / FILE_NAME
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps(_to_json(state), indent=2))
    os.replace(draft, target)


def read(data_dir: Path) -> UpState | None:
    """None when nothing was ever started here, or the file is not ours."""
    try:
        plain = json.loads((data_dir / FILE_NAME).read_text())
        return UpState(
            minder=ProcessMark(plain["pid"], plain["started"]),
            ready=plain["ready"],
            orchestrator_url=plain["orchestratorUrl"],
            provider_url=plain["providerUrl"],
            ray_address=plain["rayAddress"],
            parts={name: ProcessMark(mark["pid"], mark["started"]) for name, mark in plain["pids"].items()},
            failure=plain["failure"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _to_json(state: UpState) -> dict[str, Any]:
    return {
        "pid": state.minder.pid,
        "started": state.minder.started,
        "ready": state.ready,
        "orchestratorUrl": state.orchestrator_url,
        "providerUrl": state.provider_url,
        "rayAddress": state.ray_address,
        "pids": {name: {"pid": mark.pid, "started": mark.started} for name, mark in state.parts.items()},
        "failure": state.failure,
    }
