"""The driver's end of the launcher: starts it when it is first needed, and again after it died.

One per driver object, used on one event loop. A launcher that dies takes no task with it; it only leaves unsaid how the
launches went that were under way, and their state folders know.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("program.py")
AT_ONCE = 32
"""Launches under way: enough to keep the processors busy, few enough that a packet always fits into the socket."""


class LauncherDied(Exception):
    """Whether the task was started is unknown: look into its state folder."""


class LauncherClient:
    def __init__(self, log: Path, threads: Executor) -> None:
        self._log = log
        """Receives what the launcher has to say when it breaks."""
        self._threads = threads
        self._starting = asyncio.Lock()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._control: socket.socket | None = None

    async def request(
        self, files: Sequence[int] = (), copies: Sequence[int] = (), do: str = "run"
    ) -> Mapping[str, Any]:
        """Launch the task of these files, or ask for a sign of life with none. What to do: see `launcher`.

        Raises `LauncherDied`, and `OSError` when no launcher can be started.
        """
        async with self._slots:
            control = await self._running()
            number = next(self._numbers)
            answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            try:
                order = {"number": number, "do": do, "copies": list(copies)}
                socket.send_fds(control, [json.dumps(order).encode()], files)
                return await answer
            except (BrokenPipeError, ConnectionError) as error:
                self._lost()
                raise LauncherDied from error
            finally:
                self._waiting.pop(number, None)

    async def close(self) -> None:
        """End the launcher. Waiters and tasks go on."""
        self._lost()

    async def _running(self) -> socket.socket:
        async with self._starting:
            if self._control is None:
                loop = asyncio.get_running_loop()
                control = await loop.run_in_executor(self._threads, _start, self._log)
                loop.add_reader(control, self._receive)
                self._control = control
            return self._control

    def _receive(self) -> None:
        try:
            packet = self._control.recv(8192) if self._control else b""
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._lost()
            return
        answer = json.loads(packet)
        waiting = self._waiting.pop(answer["number"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _lost(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LauncherDied())


def _start(log: Path) -> socket.socket:
    """Python in isolation, without `site`: as little memory as possible, for every waiter shares it.

    The program detaches itself: what was run here ends at once, and the launcher is nobody's child. Raises `OSError`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with theirs, open(log, "ab") as errors:
        _run_program(theirs, errors)
    return ours


def _run_program(theirs: socket.socket, errors: IO[bytes]) -> None:
    """If it breaks, it closes its end of the socket: that is noticed as the death of a launcher."""
    subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        cwd="/",
        env=_environment(),
        start_new_session=True,
        check=False,
    )


def _environment() -> dict[str, str]:
    """Not ours: it holds credentials, and /proc shows a waiter's environment. Only what a relocated Python needs."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
