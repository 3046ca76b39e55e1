"""A tiny program: forks one *waiter* per native task. Started by `launcher_client`, as a script, never imported by it.

    driver ──socket──▶ launcher ──fork──▶ waiter ──fork──▶ the user's process
    (threads, big)     (small)            (own session) ◀──pipes── (own session)

Why so many: a process with threads must not fork, so a launcher forks for it. It is detached when it starts, hence
nobody who kills the driver's children, or their children, meets a waiter (D1); and it ends with its driver, which the
waiters do not. A waiter is the parent of the user's process, which is the only way to learn its exit status, and the
adopter of its orphans, which is how nothing of a task escapes. It carries the output into the log files (`pump`).

A request is one packet: JSON, with file descriptors: the task's state folder, the job folder, the logs of stdout and
stderr, and for each stream in `"copies"` (0 or 1) a file that gets a second copy. The answer is one packet too,
`{"number": n}` and `"outcome"` (a request without files asks only for `ready`):

    started   the user's process exists, and `started.json` says so
    again     it had been started earlier
    busy      another waiter is at it right now
    gone      the task was destroyed meanwhile
    failed    with "error"; nothing was started

Never two copies: a waiter holds the lock of the state folder for its whole life, and starts nothing once `started.json`
exists. A waiter that dies before that file is written has started nothing, so another may try again.

Standard library only and few imports, because every waiter shares this memory.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

STATE, JOB_FOLDER, STDOUT, STDERR, COPIES = range(5)
MOST_FILES = 6
PR_SET_NAME, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 15, 36, 38
NOT_EXECUTABLE, NOT_FOUND = 126, 127
DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_libc = ctypes.CDLL(None)


def main(control: socket.socket) -> None:
    if os.fork():
        os._exit(0)
    from runtimes.native import pump  # noqa: F401  # here, and not in each waiter: they share it

    _shed_what_the_driver_gave_us()
    gc.freeze()  # a collection in a waiter would copy the memory that all of them share
    Server(control).serve()


def _shed_what_the_driver_gave_us() -> None:
    """A Ray worker is niced and the first to be shot when memory is short; no workload may inherit that."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here asks how a waiter ended
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)


class Server:
    """Takes requests while earlier launches are still under way."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.numbers: dict[int, int] = {}
        """Pipe on which a launch reports, to the number of its request."""
        self.poller = select.poll()
        self.poller.register(control, select.POLLIN)

    def serve(self) -> None:
        """Until the driver closes its end or dies. Waiters that are still starting go on without us."""
        while True:
            for file, _ in self.poller.poll():
                if file != self.control.fileno():
                    self.poller.unregister(file)
                    self.answer(self.numbers.pop(file), _read_report(file))
                elif not self.take_request():
                    return

    def take_request(self) -> bool:
        packet, files, _, _ = socket.recv_fds(self.control, 4096, MOST_FILES, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return False
        request = json.loads(packet)
        number = request["number"]
        if not files:
            self.answer(number, {"outcome": "ready", "pid": os.getpid()})
            return True
        try:
            report = launch(files, request.get("copies", []), [self.control.fileno(), *self.numbers])
        except OSError as error:
            self.answer(number, {"outcome": "failed", "error": f"cannot fork: {error.strerror}"})
        else:
            self.numbers[report] = number
            self.poller.register(report, select.POLLIN)
        finally:
            for file in files:
                os.close(file)
        return True

    def answer(self, number: int, report: dict[str, Any]) -> None:
        with suppress(OSError):  # the driver left; it will read the state folder
            self.control.send(json.dumps({"number": number, **report}).encode())


def _read_report(pipe: int) -> dict[str, Any]:
    line = os.read(pipe, 4096)
    os.close(pipe)
    return dict(json.loads(line)) if line else {"outcome": "failed", "error": "the launch was interrupted"}


def launch(files: list[int], copies: list[int], not_for_waiters: list[int]) -> int:
    """Make a waiter, and return the pipe on which it, or the user's process, says how the launch went."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        become_waiter(files, writer, [reader, *not_for_waiters], copies)
    os.close(writer)
    return reader


# ----------------------------------------------------------------------------------------------------- the waiter


def become_waiter(files: list[int], report: int, others: list[int], copies: list[int] | None = None) -> NoReturn:
    try:
        _detach(others)
        _wait_on_task(files, report, copies or [])
    except OSError as error:
        _report(report, outcome="failed", error=str(error))
    finally:
        os._exit(0)


def _detach(others: list[int]) -> None:
    """A session of its own, deaf to whatever stops services, holding nothing that others wait to see closed."""
    os.setsid()
    for ignored in DEAF_TO:
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take away the exit statuses
    _libc.prctl(PR_SET_NAME, b"ucloud-waiter", 0, 0, 0)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for file in others:
        os.close(file)


def _wait_on_task(files: list[int], report: int, copies: list[int]) -> None:
    from runtimes.native.pump import Pump

    state = files[STATE]
    lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=state)
    if refusal := _refusal(state, lock):
        _report(report, outcome=refusal)
        return
    task, waiter = read_json(state, "task.json"), _identity(os.getpid())
    second = dict(zip(copies, files[COPIES:], strict=True))
    pump = Pump(files[STDOUT:COPIES], [second.get(stream) for stream in (0, 1)])
    child = os.fork()
    if child == 0:
        pump.let_go_in_child()
        os.close(lock)
        run(task, waiter, [*files[:STDOUT], *pump.writers], report)
    for file in (report, files[JOB_FOLDER]):
        os.close(file)
    status = pump.carry_until(child)
    end_stragglers(task["cgroups"])
    pump.finish()
    if _exists(state, "started.json"):
        with suppress(OSError):  # the folder was destroyed, or the disk is full: then the exit counts as lost
            write_json(state, "exit.json", describe_exit(status, task["cgroups"]))


def _refusal(state: int, lock: int) -> str | None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    if not _exists(state, "task.json"):
        return "gone"
    return "again" if _exists(state, "started.json") else None


def end_stragglers(cgroups: list[str]) -> None:
    """Kill what the task left running: an ended task uses nothing and writes nothing.

    We adopt orphans, so killing our children, and then their children who become ours, reaches everyone. The limit of
    zero processes keeps a task that forks faster than we kill from winning.
    """
    first = True
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                continue
        except ChildProcessError:
            return
        if first:
            _forbid_forks(cgroups)
            first = False
        for pid in _children():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _forbid_forks(cgroups: list[str]) -> None:
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
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == me]


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return None


def describe_exit(status: int, cgroups: list[str]) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
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


# ---------------------------------------------------------------------------------------------- the user's process


def run(task: dict[str, Any], waiter: list[int], files: list[int], report: int) -> NoReturn:
    """In the child: become the user's process."""
    try:
        _set_up(task, files)
        write_json(files[STATE], "started.json", _describe_start(waiter))
    except (OSError, ValueError) as error:
        _report(report, outcome="failed", error=str(error))
        os._exit(NOT_EXECUTABLE)
    _report(report, outcome="started")
    try:
        # Only now, because a user may not write to the state folder. Nothing of his has run yet.
        _drop_privileges(task["user"], task.get("groups", []))
        _reset_signals()
        os.execvpe(task["argv"][0], task["argv"], task["environment"])
    except (OSError, ValueError) as error:
        _refuse_to_run(task["argv"][0], error)


def _set_up(task: dict[str, Any], files: list[int]) -> None:
    os.setsid()
    for folder in task["cgroups"]:
        group = os.open(f"{folder}/cgroup.procs", os.O_WRONLY)
        os.write(group, b"0")
        os.close(group)
    _limit_open_files(task["open_files"])
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(files[STDOUT], 1)
    os.dup2(files[STDERR], 2)
    os.fchdir(files[JOB_FOLDER])


def _limit_open_files(wanted: int) -> None:
    """A process without privileges cannot raise its hard limit: it gets what there is."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, possible))


def _describe_start(waiter: list[int]) -> dict[str, Any]:
    """Process ids mean something only together with start times, within one boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return {"boot": boot, "waiter": waiter, "workload": _identity(os.getpid()), "started_at": time.time()}


def _identity(pid: int) -> list[int]:
    return [pid, int(_stat(pid)[19])]


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


# ----------------------------------------------------------------------------------------------------------- small


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the third on (state, parent, ...); the second may hold spaces and brackets."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def read_json(folder: int, name: str) -> dict[str, Any]:
    with open(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
        return dict(json.load(file))


def write_json(folder: int, name: str, value: dict[str, Any]) -> None:
    """Whole or not at all: a reader never sees half a file."""
    with open(os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=folder), "w") as file:
        json.dump(value, file)
    os.rename(name + ".new", name, src_dir_fd=folder, dst_dir_fd=folder)


def _report(pipe: int, outcome: str, error: str = "") -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(pipe, json.dumps({"outcome": outcome, "error": error[:500]}).encode())


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    main(socket.socket(fileno=int(sys.argv[1])))
