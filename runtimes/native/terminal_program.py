"""Becomes the shell of a terminal inside a native task: `python -I -S terminal_program.py ORDER`.

Run by `terminal` with the terminal as its input, output and errors, in a session of its own; ORDER is a file descriptor
with JSON. Goes where the task is (its control groups, user, folder), and then is the first shell that exists: a login
shell (IS-13). A process with threads must not fork and change all that, so this does it after the start.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
import termios
from contextlib import suppress
from typing import Any, NoReturn

PR_SET_NO_NEW_PRIVS = 38
NO_SHELL = 127


def main(order: dict[str, Any], job_folder: int) -> NoReturn:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    _shed_what_the_agent_gave_us()
    for group in order["cgroups"]:
        with open(f"{group}/cgroup.procs", "wb", buffering=0) as file:
            file.write(b"0")
    _limit_open_files(order["open_files"])
    os.fchdir(job_folder)
    _become(order["user"], order["groups"])
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for shell in order["shells"]:
        with suppress(OSError):
            os.execve(shell, [f"-{os.path.basename(shell)}"], order["environment"])
    os.write(2, b"This machine has no shell.\r\n")
    os._exit(NO_SHELL)


def _shed_what_the_agent_gave_us() -> None:
    """A Ray worker is niced, the first to be shot when memory is short, and deaf to Ctrl-C."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)


def _limit_open_files(wanted: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, possible))


def _become(user: list[int] | None, groups: list[int]) -> None:
    if user is not None:
        os.setgroups(groups)
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])


if __name__ == "__main__":
    with open(int(sys.argv[1]), "rb") as file:
        main(json.load(file), int(sys.argv[2]))
