"""Terminals whose shell is the test, and the shells of real ones."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from runtimes.errors import StartFailed
from runtimes.terminals import MARK, Terminal, TerminalSize
from runtimes.types import TaskId
from tests.support.wait import async_wait_until
from ucloud_ray.control.terminal_relay import TerminalRelay


class ScriptedTerminal:
    """Implements `Terminal`: remembers what was typed, shows what it is told to."""

    def __init__(self, size: TerminalSize) -> None:
        self.sizes = [size]
        self.typed = b""
        self.closed = False
        self.takes_input = asyncio.Event()
        self.takes_input.set()
        self._shown: asyncio.Queue[bytes] = asyncio.Queue()

    def shows(self, data: bytes) -> None:
        """Next; nothing at all is the end of the shell."""
        self._shown.put_nowait(data)

    @property
    def unread(self) -> int:
        """Pieces that nobody took yet."""
        return self._shown.qsize()

    async def read(self) -> bytes:
        return await self._shown.get()

    async def write(self, data: bytes) -> None:
        await self.takes_input.wait()
        self.typed += data

    async def resize(self, size: TerminalSize) -> None:
        self.sizes.append(size)

    async def close(self) -> None:
        self.closed = True

    async def has_typed(self, data: bytes) -> None:
        async def look() -> bool:
            return data in self.typed

        await async_wait_until(look, f"{data!r} typed")

    async def is_closed(self) -> None:
        async def look() -> bool:
            return self.closed

        await async_wait_until(look, "the terminal to be closed")


class ScriptedTerminals:
    """What opens them: `opened` holds each with its task."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, TaskId, ScriptedTerminal]] = []

    async def open(self, driver: str, task: TaskId, size: TerminalSize) -> Terminal:
        terminal = ScriptedTerminal(size)
        self.opened.append((driver, task, terminal))
        return terminal

    @property
    def newest(self) -> ScriptedTerminal:
        return self.opened[-1][2]


async def _refuse(driver: str, task: TaskId, size: TerminalSize) -> Terminal:
    raise StartFailed("There are no terminals here.")


NO_TERMINALS = TerminalRelay(_refuse)


def shells_of(job_id: str) -> list[int]:
    """Processes of terminals in this job, on this machine."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        is_shell = any(variable.startswith(f"{MARK}=".encode()) for variable in variables)
        if is_shell and f"UCLOUD_JOB_ID={job_id}".encode() in variables:
            found.append(int(pid))
    return found
