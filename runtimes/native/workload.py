"""In the child of a waiter: become the user's process.

It keeps the lock of the state folder until its program takes over, so that nobody who finds the waiter dead starts the
task a second time while this is under way.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from runtimes.native.small import identity, report, write_json
from runtimes.output import fifos

if TYPE_CHECKING:
    from runtimes.native.order import Order

NOT_EXECUTABLE, NOT_FOUND = 126, 127
DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def run(task: dict[str, Any], parents: dict[str, list[int]], order: Order, pipe: int) -> NoReturn:
    """`parents`: the waiter, and the launcher that succeeds it."""
    try:
        _take_name()
        _set_up(task, order)
        write_json(order.state, "started.json", _describe_start(parents))
    except (OSError, ValueError) as error:
        report(pipe, outcome="failed", error=str(error))
        os._exit(NOT_EXECUTABLE)
    report(pipe, outcome="started")
    try:
        # Only now, because a user may not write to the state folder. Nothing of his has run yet.
        _drop_privileges(task["user"], task.get("groups", []))
        _reset_signals()
        os.execvpe(task["argv"][0], task["argv"], task["environment"])
    except (OSError, ValueError) as error:
        _refuse_to_run(task["argv"][0], error)


def _take_name() -> None:
    """Whoever ends waiters must not take us for one: from now on we are what the task's exit is told of."""
    with open("/proc/self/comm", "w") as file:
        file.write("ucloud-task")


def _set_up(task: dict[str, Any], order: Order) -> None:
    os.setsid()
    for folder in task["cgroups"]:
        group = os.open(f"{folder}/cgroup.procs", os.O_WRONLY)
        os.write(group, b"0")
        os.close(group)
    _limit_open_files(task["open_files"])
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    for stream, writer in enumerate(fifos.open_writers(order.state), 1):
        os.dup2(writer, stream)
    if order.job_folder is not None:
        os.fchdir(order.job_folder)


def _limit_open_files(wanted: int) -> None:
    """A process without privileges cannot raise its hard limit: it gets what there is."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, possible))


def _describe_start(parents: dict[str, list[int]]) -> dict[str, Any]:
    """Process ids mean something only together with start times, within one boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return {"boot": boot, **parents, "workload": identity(os.getpid()), "started_at": time.time()}


def _drop_privileges(user: list[int] | None, groups: list[int]) -> None:
    if user is None:
        return
    uid, gid = user
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _reset_signals() -> None:
    """Not before the report was written: its reader may have died, and then a broken pipe would kill us."""
    for number in (*DEAF_TO, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def _refuse_to_run(program: str, error: Exception) -> NoReturn:
    """What a shell answers (LC-12), and where it answers it."""
    found = not isinstance(error, FileNotFoundError | NotADirectoryError)
    reason = getattr(error, "strerror", None) or str(error)
    with suppress(OSError):
        os.write(2, f"{program}: {reason if found else 'not found'}\n".encode(errors="surrogateescape"))
    os._exit(NOT_EXECUTABLE if found else NOT_FOUND)
