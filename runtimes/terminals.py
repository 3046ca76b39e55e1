"""A terminal inside a running task: what a driver that `abilities.OpensTerminals` hands out (IS-13, IS-15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

MARK: Final = "UCLOUD_RAY_TERMINAL"
"""Variable of every shell in a terminal, by which one whose owner died is found: see `abandoned`."""
TERM: Final = "xterm-256color"
MOST = 10_000
"""Columns or rows; the kernel keeps them in 16 bits."""


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """In characters."""

    columns: int = 80
    rows: int = 24

    @staticmethod
    def of(columns: int | None, rows: int | None) -> TerminalSize:
        """The nearest size that a terminal can have; 80 by 24 where nothing is said (IS-9)."""
        usual = TerminalSize()
        return TerminalSize(_within(columns, usual.columns), _within(rows, usual.rows))


def _within(wanted: int | None, usual: int) -> int:
    return usual if wanted is None else max(1, min(wanted, MOST))


class Terminal(Protocol):
    """One shell and the bytes between it and whoever types. Belongs to one caller; reads and writes may overlap."""

    async def read(self) -> bytes:
        """What it printed next, as soon as there is anything; empty when the shell is gone and all has been read.

        Nothing is taken from the shell before somebody reads: a slow reader slows the program (back-pressure).
        """
        ...

    async def write(self, data: bytes) -> None:
        """What was typed. Waits while the program does not read it; typing to a shell that is gone is no error."""
        ...

    async def resize(self, size: TerminalSize) -> None:
        """No error for a shell that is gone."""
        ...

    async def close(self) -> None:
        """End the shell: SIGHUP as a terminal does that is hung up, and SIGKILL after `HANG_UP_SECONDS`. The task's
        own program is not touched (IS-15). May be called twice; not while somebody reads or writes."""
        ...


HANG_UP_SECONDS = 2.0
