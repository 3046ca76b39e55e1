"""Where a task writes: two named pipes in a folder of ours, and a count of the bytes that no log could take.

The task and the pump open them for reading *and* writing. So none of them ever sees an end or gets a SIGPIPE, whoever
of the others dies, and what was written stays as long as anybody has them open.

Made by the drivers, opened by the launcher. Standard library only and few imports, for every waiter shares this memory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import termios
from contextlib import suppress

STREAMS = ("stdout.fifo", "stderr.fifo")
INNER = "output"
"""Folder of the pipes in the folder of a container."""
END = "end.fifo"
"""Beside a container: who writes to it says that no output follows. See `tell_end`."""
MISSING = "missing"
"""Eight bytes for each stream, written in place: a full disk takes them too."""
PIPE_BYTES = 1024 * 1024
MODEST_PIPE_BYTES = 256 * 1024
"""An ordinary user has a share of pipes (64 MiB), and gets two pages for each once it is used up."""


def make(folder: str, owner: tuple[int, int] | None = None, mode: int = 0o600) -> None:
    """The pipes, in a folder that only we can change. `owner` may open them by name, as programs do that write to
    `/dev/stdout`. Raises `OSError`."""
    for name in STREAMS:
        path = f"{folder}/{name}"
        os.mkfifo(path, 0o600)
        if owner is not None:
            os.chown(path, *owner)
        os.chmod(path, mode)


def make_missing(folder: str) -> None:
    """Beside them, before a pump comes. Raises `OSError`."""
    with open(os.open(f"{folder}/{MISSING}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(bytes(8 * len(STREAMS)))


def open_readers(folder: int) -> list[int]:
    """The pump's ends: they never block. `folder` is a file descriptor. Raises `OSError`."""
    found: list[int] = []
    try:
        for name in STREAMS:
            found.append(os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder))
            with suppress(OSError):  # the usual size does too
                fcntl.fcntl(found[-1], fcntl.F_SETPIPE_SZ, PIPE_BYTES if os.geteuid() == 0 else MODEST_PIPE_BYTES)
    except OSError:
        for file in found:
            os.close(file)
        raise
    return found


def open_writers(folder: int) -> list[int]:
    """The task's ends, which block as a program expects it. Raises `OSError`."""
    return [os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=folder) for name in STREAMS]


def make_end(folder: str) -> None:
    os.mkfifo(f"{folder}/{END}", 0o600)


def open_end(folder: int) -> int:
    return os.open(END, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)


def tell_end(folder: str) -> bool:
    """Whether there was somebody to tell. It can be told again. Raises `FileNotFoundError` if the folder is gone."""
    if (end := _open_watched(folder)) is None:
        return False
    with suppress(BlockingIOError):
        os.write(end, b".")
    os.close(end)
    return True


def is_watched(folder: str) -> bool:
    """Whether somebody is there who could be told, and so has the pipes open. Raises `FileNotFoundError`."""
    if (end := _open_watched(folder)) is None:
        return False
    os.close(end)
    return True


def _open_watched(folder: str) -> int | None:
    try:
        return os.open(f"{folder}/{END}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def waiting_bytes(reader: int) -> int:
    return int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), "little")


class Missing:
    """How much of each stream is still to be reported as lost; remembered outside of the process that counts."""

    def __init__(self, folder: int) -> None:
        self._file = os.open(MISSING, os.O_RDWR | os.O_CLOEXEC, dir_fd=folder)

    def get(self, stream: int) -> int:
        return int.from_bytes(os.pread(self._file, 8, 8 * stream), "little")

    def set(self, stream: int, size: int) -> None:
        with suppress(OSError):
            os.pwrite(self._file, size.to_bytes(8, "little"), 8 * stream)
