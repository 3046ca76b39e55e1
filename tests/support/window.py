"""A terminal window: a command on a pseudo-terminal, and what its user would see on the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyte

from tests.support.wait import wait_until

COLUMNS, ROWS = 100, 30


class Window:
    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._master = master
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self.seen = b""
        """Everything that was sent to it."""

    def types(self, text: str) -> None:
        left = text.encode()
        while left:
            _, ready, _ = select.select([], [self._master], [], 1)
            if ready:
                left = left[os.write(self._master, left[:512]) :]
            self._read()

    def sees(self, text: str) -> None:
        """Until it is on the screen, in one line. Fails with the screen."""
        try:
            wait_until(lambda: self._looks(text), f"{text!r} on the screen", timeout=30)
        except AssertionError as failed:
            raise AssertionError("\n".join([str(failed), *self.lines])) from None

    def has_seen(self, data: bytes) -> None:
        """Until it was sent, whether or not it is on the screen still."""
        wait_until(lambda: self._has(data), f"{data!r} to be sent", timeout=60)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def ends(self) -> int:
        """Exit status of the command, once it has ended."""
        return wait_until(self._ended, "the command to end")[0]

    def looked(self) -> Window:
        """With what has arrived by now."""
        self._read()
        return self

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def _looks(self, text: str) -> bool | list[str]:
        self._read()
        return any(text in line for line in self.lines)

    def _has(self, data: bytes) -> bool:
        self._read()
        return data in self.seen

    def _ended(self) -> tuple[int] | None:
        self._read()
        code = self.process.poll()
        return None if code is None else (code,)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while piece := os.read(self._master, 65536):
                self.seen += piece
                self._stream.feed(piece)


@contextlib.contextmanager
def window(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Window]:
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.set_blocking(master, False)
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],
        env={**environment, "TERM": "xterm-256color"},
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Window(master, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)
