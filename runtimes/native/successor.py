"""Goes on where a waiter was killed: carries the output, leaves nothing running, and tells the exit.

Not the parent of the user's process, which the launcher has adopted: so the launcher says how it ended.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runtimes.native.small import everyone, exists, identity, read_json, stat, write_json
from runtimes.native.waiter import forbid_forks, tell_exit
from runtimes.output.pump import Pump, is_readable

if TYPE_CHECKING:
    from runtimes.native.order import Order

GONE_WITHIN_SECONDS = 10.0


def succeed(order: Order, told: int | None) -> None:
    """`told` can be read when the process has ended: its wait status. Without it, or when the launcher dies, the end is
    seen and the status is not."""
    _lock(order.state)
    if not exists(order.state, "task.json") or exists(order.state, "exit.json"):
        return
    write_json(order.state, "successor.json", {"waiter": identity(os.getpid())})
    task, started = read_json(order.state, "task.json"), read_json(order.state, "started.json")
    pump = Pump(order.state, order.readers, order.logs, order.copies)
    status = _carry_until_told(pump, told) if told is not None else b""
    if not status:
        _carry_until_gone(pump, started)
    _end_stragglers(task["cgroups"], started["workload"][0])
    pump.finish()
    if status:
        tell_exit(order.state, os.waitstatus_to_exitcode(int(status)), task["cgroups"])


def _carry_until_told(pump: Pump, told: int) -> bytes:
    pump.carry_while(lambda: not is_readable(told), told)
    return os.read(told, 16)


def _carry_until_gone(pump: Pump, started: dict[str, Any]) -> None:
    pid, since = started["workload"]
    with suppress(OSError):  # it is gone already
        process = os.pidfd_open(pid)
        if identity(pid)[1] == since:  # only now, when the descriptor stays with whomever it was opened for
            pump.carry_while(lambda: not is_readable(process), process)


def _lock(state: int) -> None:
    """For the rest of our life. Waits for whoever has it: a child on its way to its program, or a driver that looks."""
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=state)
    fcntl.flock(lock, fcntl.LOCK_EX)


def _end_stragglers(cgroups: list[str], session: int) -> None:
    """Those of the control group; without one, those that stayed in the session of the process."""
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    forbid_forks(cgroups)
    while (left := _members(cgroups) if cgroups else _of_session(session)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _members(cgroups: list[str]) -> list[int]:
    with suppress(OSError), open(f"{cgroups[0]}/cgroup.procs") as file:
        return [int(pid) for pid in file.read().split()]
    return []


def _of_session(session: int) -> list[int]:
    return [pid for pid in everyone() if _is_in(session, pid)]


def _is_in(session: int, pid: int) -> bool:
    fields: list[Any] = []
    with suppress(OSError):
        fields = stat(pid)
    return bool(fields) and fields[0] not in "ZX" and int(fields[3]) == session
