"""The relay's side of an open terminal: bytes between a driver's terminal and the front end. Called by `relay`.

Back-pressure both ways is TCP's: nothing is taken from the shell before the connection takes it, nothing from the
connection before the shell takes it. Whoever leaves first ends the other (IS-15).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson
import structlog

from runtimes.errors import DriverError
from runtimes.terminals import Terminal, TerminalSize
from runtimes.types import TaskId
from ucloud_ray.control import relay_frames as frames

log = structlog.get_logger(__name__)

BEAT_SECONDS = 15.0
MOST_PER_TASK, MOST_OF_ALL = 16, 512
"""Open at once: each is a shell in the job and some memory here (W3)."""

Open = Callable[[str, TaskId, TerminalSize], Awaitable[Terminal]]
"""Name of a driver, the task, the size. Raises driver errors."""


class TerminalRelay:
    """All terminals of one machine."""

    def __init__(self, open_terminal: Open) -> None:
        self._open_terminal = open_terminal
        self._open: Counter[TaskId] = Counter()

    async def serve(self, target: str, wanted: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side is done. `target`: what the ticket is for; `wanted`: size, as the greeting has it."""
        driver, task = target_of(target)
        try:
            with self._room(task):
                terminal = await self._open_terminal(driver, task, TerminalSize.of(*wanted))
                await _send(writer, frames.OPENED)
                await _join(terminal, reader, writer)
        except DriverError as refused:
            log.info("a terminal was refused", task=task.name, reason=refused.message)
            await _send(writer, frames.REFUSED, refused.message.encode())

    @contextlib.contextmanager
    def _room(self, task: TaskId) -> Iterator[None]:
        if self._open[task] >= MOST_PER_TASK or self._open.total() >= MOST_OF_ALL:
            raise DriverError("Too many terminals are open. Close one that you do not need, and try again.")
        self._open[task] += 1
        try:
            yield
        finally:
            self._open[task] -= 1
            self._open += Counter()  # drops what is zero


def target(driver: str, task: TaskId) -> str:
    """For a ticket: which task the terminal may be opened in."""
    return orjson.dumps([driver, task.name, task.incarnation]).decode()


def target_of(text: str) -> tuple[str, TaskId]:
    driver, name, incarnation = orjson.loads(text)
    return driver, TaskId(name, incarnation)


async def _join(terminal: Terminal, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    jobs = [
        asyncio.create_task(_show(terminal, writer), name="terminal output"),
        asyncio.create_task(_type(terminal, reader), name="terminal input"),
        asyncio.create_task(_beat(writer), name="terminal beat"),
    ]
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await terminal.close()


async def _show(terminal: Terminal, writer: asyncio.StreamWriter) -> None:
    while data := await terminal.read():
        for frame in frames.encode_data(data):
            writer.write(frame)
            await writer.drain()
    await _send(writer, frames.END)


async def _type(terminal: Terminal, reader: asyncio.StreamReader) -> None:
    while (frame := await frames.read(reader)) is not None:
        if frame.kind == frames.DATA:
            await terminal.write(frame.content)
        elif frame.kind == frames.SIZE:
            await terminal.resize(TerminalSize.of(*orjson.loads(frame.content)))


async def _beat(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        await _send(writer, frames.DATA)


async def _send(writer: asyncio.StreamWriter, kind: bytes, content: bytes = b"") -> None:
    writer.write(frames.encode(kind, content))
    await writer.drain()
