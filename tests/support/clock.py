"""The wall clock of a stack's processes, moved for real without touching the machine's.

Every Python process that is started with `environment` reads the wall clock plus what a file says at that moment. Time
since the machine's start is left alone, as the kernel leaves it alone when somebody sets the clock. Not reached: what
Ray's own programs, Docker's daemon and jobs read, and how the kernel dates files.

    clock = MovedClock(folder)
    stack.environment |= clock.environment   # before `up`
    clock.move(3600)                         # at any time, as often as wanted
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("moved_clock.c")


def missing() -> str | None:
    """Why no clock can be moved here, or None."""
    return None if shutil.which("gcc") else "gcc is not installed, which makes the library that moves clocks"


@dataclass(frozen=True)
class MovedClock:
    """`folder` must exist, and be there as long as the processes."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "clock").write_bytes(struct.pack("q", 0))
        library = str(self.folder / "moved_clock.so")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, str(SOURCE), "-ldl"], check=True)

    def move(self, seconds: int) -> None:
        """How far it is from the machine's own from now on."""
        with open(self.folder / "clock", "r+b") as file:
            os.pwrite(file.fileno(), struct.pack("q", seconds), 0)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.folder / "moved_clock.so"), "MOVED_CLOCK": str(self.folder / "clock")}
