"""What a daemon that was killed while it started a container has forgotten: it calls the container created, and
containerd has a task for it, which may even run. No daemon ever adopts it, and none starts or removes it.

`launch` asks when a start is refused for it, `driver` when it destroys a container that was never launched. Found by
the number of the container in the command of containerd's shim. Killed by its shim: containerd then ends what is left
of the task and forgets it, and the container can be started as if nothing had been.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_REFUSAL = re.compile(r"\b(task|container)\b.*: already exists|\bid already in use\b|\bshim\b.*: file exists")
_NOT_THE_PROGRAM = "runc"
"""How the process is called that becomes the program: `runc:[2:INIT]`."""
_GONE_SECONDS = 5.0


def is_meant(refusal: Exception) -> bool:
    """Whether a start was refused because there is one."""
    return _REFUSAL.search(str(refusal)) is not None


def end(container: str, processes: Path = Path("/proc")) -> bool:
    """End what is left of an earlier start; whether its program had begun to run. Nothing there is success.

    Blocks until it is gone, or for five seconds. Does nothing to what may not be looked at."""
    ran = any(not name.startswith(_NOT_THE_PROGRAM) for _, name in _of_container(container, processes))
    for shim in list(_shims(container, processes)):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(shim, signal.SIGKILL)
    give_up_at = time.monotonic() + _GONE_SECONDS
    while any(_of_container(container, processes)) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return ran


def _of_container(container: str, processes: Path) -> Iterator[tuple[int, str]]:
    """Number and name of each process in the container's control group."""
    for entry in _all(processes):
        with suppress(OSError):
            if container in (entry / "cgroup").read_text():
                yield int(entry.name), (entry / "comm").read_text().strip()


def _shims(container: str, processes: Path) -> Iterator[int]:
    for entry in _all(processes):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if Path(words[0]).name.startswith("containerd-shim") and container in words:
                yield int(entry.name)


def _all(processes: Path) -> Iterator[Path]:
    return (entry for entry in processes.iterdir() if entry.name.isdigit())
