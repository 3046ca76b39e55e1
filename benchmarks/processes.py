"""Which processes belong to a stack, what part each of them is, and what they use. Reads /proc; signals only our own.

Everything that a stack starts inherits one environment variable with a value of its own. Users' programs do not, but
they and other processes that end within a round are seen by the control groups of CPU accounting, where there are any.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

MARK = "UCBENCH_STACK"
TICK = os.sysconf("SC_CLK_TCK")
ACCOUNTING = Path("/sys/fs/cgroup/cpuacct")
"""Version 1 of control groups; elsewhere the short-lived processes stay unseen, and the report says so."""
TASKS = ACCOUNTING / "ucloud-ray"
"""Where the native driver puts its tasks."""
SHORT_LIVED = "waiters and users' programs"

PARTS = (
    ("ucloud_ray orchestrator", "orchestrator"),
    ("ucloud_ray provider", "provider front end"),
    ("ucloud_ray up", "minder"),
    ("ray::JobSupervisor", "supervisor"),
    ("ray::NodeAgent", "node agent"),
    ("ray::ReplicaActor", "replica actors"),
    ("native/program.py", "native launchers"),
    ("gcs_server", "Ray: gcs"),
    ("raylet/raylet", "Ray: raylet"),
)
OTHER_RAY = "Ray: other"
ACTORS = frozenset({"supervisor", "node agent", "replica actors"})


def part_of(command: str) -> str:
    """Name of the part that a process is, by its command line."""
    return next((name for sign, name in PARTS if sign in command), OTHER_RAY)


def marked(value: str) -> dict[int, str]:
    """Process to part, of one stack."""
    found = {}
    for pid in {*_with_mark(value), *_in_accounting_group(value)}:
        with contextlib.suppress(OSError):
            found[pid] = part_of(_command(pid))
    return found


def _with_mark(value: str) -> Iterator[int]:
    wanted = f"{MARK}={value}".encode()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                yield pid


def _in_accounting_group(value: str) -> list[int]:
    """What has shed our environment, as a native launcher does, is found here, where there are such groups."""
    try:
        return [int(line) for line in (accounting_group(value) / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")


# ----------------------------------------------------------------------------------------------------------- CPU


def cpu_seconds(value: str) -> dict[str, float]:
    """Part to CPU time that its living processes have used, plus that of processes that came and went."""
    parts = cpu_seconds_of_living(value)
    total = _accounted(accounting_group(value))
    if total is not None:
        parts[SHORT_LIVED] = total - sum(parts.values()) + (_accounted(TASKS) or 0.0)
    return parts


def cpu_seconds_of_living(value: str) -> dict[str, float]:
    """Part to CPU time that its living processes have used."""
    parts: dict[str, float] = defaultdict(float)
    for pid, part in marked(value).items():
        parts[part] += cpu_of(pid) or 0.0
    return dict(parts)


def cpu_of_ray_loops(value: str) -> float:
    """Seconds that the main threads of actors have used. They run Ray's own loop, which looks for signals a hundred
    times a second; code of ours runs on the thread of the event loop."""
    actors = (pid for pid, part in marked(value).items() if part in ACTORS)
    return sum(_cpu(Path(f"/proc/{pid}/task/{pid}/stat")) or 0.0 for pid in actors)


def cpu_of(pid: int) -> float | None:
    """Seconds; None when it is gone."""
    return _cpu(Path(f"/proc/{pid}/stat"))


def _cpu(file: Path) -> float | None:
    try:
        fields = file.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICK


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def accounting_group(value: str) -> Path:
    return ACCOUNTING / f"ucbench-{value}"


def _accounted(group: Path) -> float | None:
    try:
        return int((group / "cpuacct.usage").read_text()) / 1e9
    except OSError:
        return None


def make_accounting_group(value: str) -> Path | None:
    """A group to start the stack in; None where that cannot be."""
    group = accounting_group(value)
    try:
        group.mkdir()
    except OSError:
        return None
    return group


# -------------------------------------------------------------------------------------------------------- memory


def memory_mib(pid: int) -> tuple[float, float] | None:
    """Resident and proportional set size; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:]}
    return sizes["Rss"], sizes["Pss"]


# -------------------------------------------------------------------------------------------------------- ending


def end_all(value: str, seconds: float = 5.0) -> list[str]:
    """End what is left of a stack that was stopped; the parts that were left, for the record."""
    left = marked(value)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in marked(value):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while marked(value) and time.monotonic() < deadline:
            time.sleep(0.05)
    with contextlib.suppress(OSError):
        accounting_group(value).rmdir()
    return sorted(left.values())
