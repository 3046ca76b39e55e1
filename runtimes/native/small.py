"""What the small programs share: processes by their ids, and files that are seen whole or not at all.

Standard library only and few imports, for every waiter shares this memory.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

EXIT_BYTES = 512
"""Set aside on disk while there is room, so that a full one cannot keep an exit status from being told."""


def stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the third on (state, parent, ...); the second may hold spaces and brackets."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def identity(pid: int) -> list[int]:
    """A process id means something only together with the start time."""
    return [pid, int(stat(pid)[19])]


def everyone() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def read_json(folder: int, name: str) -> dict[str, Any]:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as file:
        return dict(json.load(file))


def write_json(folder: int, name: str, value: dict[str, Any]) -> None:
    """Whole or not at all: a reader never sees half a file."""
    with open(os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=folder), "w") as file:
        json.dump(value, file)
    os.rename(name + ".new", name, src_dir_fd=folder, dst_dir_fd=folder)


def write_exit(folder: int, value: dict[str, Any]) -> None:
    """Over the place that was set aside for it."""
    with open(os.open("exit.json.new", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder), "w") as file:
        file.write(json.dumps(value).ljust(EXIT_BYTES))
    os.rename("exit.json.new", "exit.json", src_dir_fd=folder, dst_dir_fd=folder)


def report(pipe: int, outcome: str, error: str = "") -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(pipe, json.dumps({"outcome": outcome, "error": error[:500]}).encode())
