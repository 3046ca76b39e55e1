"""A login shell inside a native task, on a pseudo-terminal of ours (IS-13). Opened by the driver, in its own process.

The shell is in the task's control groups, so the task's limits hold for it and its end is the shell's end; without such
groups the end of the task's own process is. Whoever owns the terminal and dies closes it, and the kernel hangs up.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes import readiness
from runtimes.abandoned import Mark
from runtimes.errors import RuntimeUnavailable
from runtimes.hang_up import hang_up
from runtimes.mounts import beneath
from runtimes.native import processes
from runtimes.native.processes import ProcessId
from runtimes.native.task_folder import Started
from runtimes.terminals import MARK, TERM, TerminalSize

PROGRAM = Path(__file__).with_name("terminal_program.py")
SHELLS = ("/bin/bash", "/bin/sh")
PIECE = 64 * 1024


class NativeTerminal:
    """Implements `terminals.Terminal`."""

    def __init__(self, master: int, shell: subprocess.Popen[bytes], started: Started) -> None:
        self._master = master
        self._shell = shell
        self._id = ProcessId(shell.pid, processes.start_of(shell.pid) or 0)
        self._is_open = True
        self._watch = asyncio.create_task(self._end_with(started), name=f"terminal {shell.pid}")

    async def read(self) -> bytes:
        while self._is_open:
            try:
                return os.read(self._master, PIECE)
            except BlockingIOError:
                await readiness.readable(self._master)
            except OSError:  # EIO: nobody has the other end open any more
                return b""
        return b""

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and self._is_open:
            try:
                left = left[os.write(self._master, left) :]
            except BlockingIOError:
                await readiness.writable(self._master)
            except OSError:
                return

    async def resize(self, size: TerminalSize) -> None:
        if self._is_open:
            with suppress(OSError):
                _resize(self._master, size)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._watch.cancel()
        os.close(self._master)  # what is in the foreground is hung up by that
        await hang_up(self._id)
        await asyncio.get_running_loop().run_in_executor(None, self._shell.wait)

    async def _end_with(self, started: Started) -> None:
        """A task without control groups takes its shells along by this only."""
        await processes.wait_until_gone(started.workload)
        await hang_up(self._id)


def launch(task: Mapping[str, Any], started: Started, size: TerminalSize) -> tuple[int, subprocess.Popen[bytes]]:
    """Blocks for a moment. The master's side, which does not block, and the shell on the other.

    Raises `errors.RuntimeUnavailable`, `OSError`.
    """
    root = None if task["job_root"] is None else Path(task["job_root"])
    master, slave = os.openpty()
    try:
        _resize(master, size)
        os.set_blocking(master, False)
        if task["user"] is not None and os.geteuid() == 0:
            os.fchown(slave, task["user"][0], -1)
        with beneath.held(root, Path(task["job_folder"])) as folder:
            return master, _run(slave, _order(task), folder)
    except beneath.LeavesRoot as leaving:
        os.close(master)
        raise RuntimeUnavailable("The job folder cannot be entered at the moment.") from leaving
    except OSError:
        os.close(master)
        raise
    finally:
        os.close(slave)


def _order(task: Mapping[str, Any]) -> bytes:
    environment = {**task["environment"], "TERM": TERM, MARK: Mark.fresh("native").text}
    order = {name: task[name] for name in ("cgroups", "open_files", "user", "groups")}
    return json.dumps({**order, "environment": environment, "shells": SHELLS}).encode()


def _run(slave: int, order: bytes, job_folder: Path) -> subprocess.Popen[bytes]:
    told = os.memfd_create("order")  # holds the task's variables: nobody else can open it
    entered = os.open(job_folder, os.O_PATH | os.O_DIRECTORY)
    try:
        os.write(told, order)
        os.lseek(told, 0, os.SEEK_SET)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), str(told), str(entered)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(told, entered),
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            start_new_session=True,
        )
    finally:
        os.close(told)
        os.close(entered)


def _resize(master: int, size: TerminalSize) -> None:
    """The kernel tells the program in the foreground (SIGWINCH)."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))
