"""The keyboard as a job's terminal needs it: every key as it is pressed, the size of the window, a way out.

Where standard input is no terminal, what comes through the pipe is typed.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import shutil
import sys
import termios
import threading
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

PIECE = 16 * 1024
END_OF_INPUT = "\x04"
"""Ctrl-D."""
_ENTER = "\r"
_ESCAPE, _LEAVE = "~", "."


class Left(Exception):
    """Its user pressed Enter, `~`, `.`, as in ssh."""


def is_terminal() -> bool:
    return sys.stdin.isatty()


def size() -> tuple[int, int]:
    """Columns and rows."""
    found = shutil.get_terminal_size()
    return found.columns, found.lines


@contextmanager
def raw() -> Iterator[None]:
    """Keys go to the job, Ctrl-C too. Nothing changes where there is no terminal."""
    if not is_terminal():
        yield
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed ahead is kept
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


async def typed() -> AsyncIterator[str]:
    """What is typed, until the end of a pipe. Raises `Left`."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    escape = Escape()
    async for data in _read():
        text = decoder.decode(data)
        if is_terminal():
            text = escape.filter(text)
        if text:
            yield text


async def _read() -> AsyncIterator[bytes]:
    """In a thread that nobody waits for at the end: a read of the keyboard cannot be called off."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(4)
    keyboard = sys.stdin.fileno()

    def read() -> None:
        while True:
            piece = os.read(keyboard, PIECE)
            asyncio.run_coroutine_threadsafe(pieces.put(piece), loop).result()
            if not piece:
                return

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while piece := await pieces.get():
        yield piece


class Escape:
    """Finds `~.` at the beginning of a line; `~~` there is one `~`."""

    def __init__(self) -> None:
        self._before = _ENTER

    def filter(self, text: str) -> str:
        """What goes to the job. Raises `Left`."""
        passed = ""
        for key in text:
            passed += self._pass(key)
        return passed

    def _pass(self, key: str) -> str:
        before, self._before = self._before, key
        if before == _ENTER and key == _ESCAPE:
            self._before = _ENTER + _ESCAPE
            return ""
        if before == _ENTER + _ESCAPE:
            if key == _LEAVE:
                raise Left
            return key if key == _ESCAPE else _ESCAPE + key
        return key
