"""The parent of a user's process: carries its output, learns how it ended, leaves nothing of it running, and says so.

Forked by the launcher. It learns the exit status by looking, and collects the process only after `exit.json` is there:
if it is killed at any moment before, the process is still to be collected, by the launcher, and with it the status.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runtimes.native.small import everyone, exists, identity, read_json, report, stat, write_exit
from runtimes.native.workload import run
from runtimes.output.pump import Pump, drain

if TYPE_CHECKING:
    from runtimes.native.order import Order

_PEEK = os.WEXITED | os.WNOHANG | os.WNOWAIT


def wait_on_task(order: Order, pipe: int, launcher: list[int]) -> None:
    """Raises `OSError` when nothing was started."""
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=order.state)
    if refusal := _refusal(order.state, lock):
        report(pipe, outcome=refusal)
        return
    task = read_json(order.state, "task.json")
    parents = {"waiter": identity(os.getpid()), "launcher": launcher}
    pump = Pump(order.state, order.readers, order.logs, order.copies)
    alarm = _alarm_of_children()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)  # the handler goes with the exec; this does not
        run(task, parents, order, pipe)
    os.close(pipe)
    order.close_job_folder()
    _see_it_through(order.state, task, pump, child, alarm)


def _see_it_through(state: int, task: dict[str, Any], pump: Pump, child: int, alarm: int) -> None:
    ended: list[int] = []

    def goes_on() -> bool:
        drain(alarm)
        ended.extend(_ended(child))
        return not ended

    pump.carry_while(goes_on, alarm)
    _end_stragglers(task["cgroups"], child)
    pump.finish()
    if exists(state, "started.json"):
        tell_exit(state, ended[0], task["cgroups"])
    os.waitpid(child, 0)


def _refusal(state: int, lock: int) -> str | None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    if not exists(state, "task.json"):
        return "gone"
    return "again" if exists(state, "started.json") else None


def _alarm_of_children() -> int:
    """A pipe that can be read once a child has ended."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # The handler has nothing to do, but without one there is no wake-up.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    return reader


def _ended(child: int) -> list[int]:
    """Its exit code, negative for a signal, or nothing while it runs. Adopted orphans are collected on the way."""
    while info := os.waitid(os.P_ALL, 0, _PEEK):
        if info.si_pid == child:
            return [info.si_status if info.si_code == os.CLD_EXITED else -info.si_status]
        os.waitpid(info.si_pid, 0)
    return []


def tell_exit(state: int, code: int, cgroups: list[str]) -> None:
    with suppress(OSError):  # the folder was destroyed
        write_exit(state, _describe_exit(code, cgroups))


def _describe_exit(code: int, cgroups: list[str]) -> dict[str, Any]:
    return {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "out_of_memory": any(_oom_kills(folder) for folder in cgroups),
        "finished_at": time.time(),
    }


def _oom_kills(folder: str) -> int:
    """Version 1 of the control groups says it in `memory.oom_control`, version 2 in `memory.events`."""
    for name in ("memory.oom_control", "memory.events"):
        with suppress(OSError), open(f"{folder}/{name}") as file:
            return int(dict(line.split() for line in file).get("oom_kill", 0))
    return 0


def _end_stragglers(cgroups: list[str], ended: int) -> None:
    """Kill what the task left running: an ended task uses nothing and writes nothing.

    We adopt orphans, so killing our children, and then their children who become ours, reaches everyone. The limit of
    zero processes keeps a task that forks faster than we kill from winning.
    """
    forbidden = False
    while left := [pid for pid in _children() if pid != ended]:
        if not forbidden:
            forbid_forks(cgroups)
            forbidden = True
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def forbid_forks(cgroups: list[str]) -> None:
    for folder in cgroups:
        with suppress(OSError), open(f"{folder}/pids.max", "r+") as file:
            file.write("0")


def _children() -> list[int]:
    """From the kernel's list; from all of /proc where the kernel was built without it."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in everyone() if _parent(pid) == me]


def _parent(pid: int) -> int | None:
    try:
        return int(stat(pid)[1])
    except OSError:
        return None
