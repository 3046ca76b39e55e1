"""`up.json` below the data folder: what `up` started and where it answers. Written by the minder, read by everything.

Not the truth about jobs (that is the store); losing this file loses nothing but convenience.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE_NAME = "up.json"


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    started_at: float
    """Seconds since the epoch, as the kernel says."""

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Raises `ProcessLookupError` when there is no such process."""
        import psutil

        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(pid) from error

    def alive(self) -> bool:
        import psutil

        try:
            process = psutil.Process(self.pid)
            # The boot time that psutil adds may be corrected between two readings, hence the tolerance.
            same = abs(process.create_time() - self.started_at) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

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
            minder=ProcessMark(plain["pid"], plain["startedAt"]),
            ready=plain["ready"],
            orchestrator_url=plain["orchestratorUrl"],
            provider_url=plain["providerUrl"],
            ray_address=plain["rayAddress"],
            parts={name: ProcessMark(mark["pid"], mark["startedAt"]) for name, mark in plain["pids"].items()},
            failure=plain["failure"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _to_json(state: UpState) -> dict[str, Any]:
    return {
        "pid": state.minder.pid,
        "startedAt": state.minder.started_at,
        "ready": state.ready,
        "orchestratorUrl": state.orchestrator_url,
        "providerUrl": state.provider_url,
        "rayAddress": state.ray_address,
        "pids": {name: {"pid": mark.pid, "startedAt": mark.started_at} for name, mark in state.parts.items()},
        "failure": state.failure,
    }
