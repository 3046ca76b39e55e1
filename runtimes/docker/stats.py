"""Which control groups a container is in. Not `docker stats`: that takes at least a second per call.

Called by `driver`, which keeps the gauge: later readings ask neither the daemon nor `/proc` where the group is.
"""

from __future__ import annotations

from pathlib import Path

from runtimes.gauges import Gauge


def gauge(pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Gauge:
    """Of the container with this first process. Raises `FileNotFoundError` when it has ended."""
    groups = _groups(proc / str(pid) / "cgroup")
    if "memory" in groups:
        folders = [cgroups / name / path.lstrip("/") for name, path in groups.items() if name]
    else:
        folders = [cgroups / groups[""].lstrip("/")]
    return Gauge(folders, pid, proc)


def _groups(file: Path) -> dict[str, str]:
    """Controller to path; the unified hierarchy under the empty name."""
    groups = {}
    for line in file.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups
