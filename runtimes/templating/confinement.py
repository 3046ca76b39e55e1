"""Takes everything away from the process that renders, once all code is loaded. Runs in the child only.

Jinja's sandbox is written in Python and has had holes. A template that gets out of it finds a process that may open
no file and no socket, start no process, gain no rights, and whose folder is empty and gone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile

NOBODY = 65534
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_DUMPABLE = 4


def confine(cpu_seconds: int, memory_bytes: int) -> None:
    """Raises `OSError` if what must work here does not."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc is not None:
        libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC)  # beside the ban on sockets; not permitted to everybody
    if os.geteuid() == 0:
        _leave_files()
        _become_nobody()
    if libc is not None:
        _require(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _require(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))
    _limit(cpu_seconds, memory_bytes)


def _leave_files() -> None:
    """Into a folder that nobody can put anything in any more. Containers of some kinds forbid that to their root; the
    limit of descriptors holds there, too."""
    folder = tempfile.mkdtemp(prefix="render-")
    os.chdir(folder)
    os.rmdir(folder)
    try:
        os.chroot(".")
    except PermissionError:
        os.chdir("/")


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _limit(cpu_seconds: int, memory_bytes: int) -> None:
    """Of descriptors only the three standard ones are left, which are open already."""
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(kind, (most, most))


def _require(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "the renderer of templates cannot be confined")
