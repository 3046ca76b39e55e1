"""Finds shells of terminals whose owner died: a killed owner cannot end what a container's daemon started for it.

Every shell carries its owner in a variable (`terminals.MARK`). What it started inherits that; only the shell leads the
session of its terminal. Processes of others cannot be looked into without being root, and are left alone.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runtimes.native import processes
from runtimes.native.processes import ProcessId
from runtimes.terminals import MARK


class Mark(NamedTuple):
    """`BOOT:KIND:PID:START:RANDOM`, of the owner."""

    text: str

    @staticmethod
    def fresh(kind: str) -> Mark:
        """Of a new terminal that this process opens for a driver called `kind`."""
        pid = os.getpid()
        parts = (processes.boot_id(), kind, str(pid), str(processes.start_of(pid)), secrets.token_hex(8))
        return Mark(":".join(parts))

    @property
    def variable(self) -> str:
        return f"{MARK}={self.text}"

    def is_abandoned(self, kind: str) -> bool:
        """Whether its owner is gone. False also for text that is no mark: anybody can set a variable."""
        try:
            boot, of_kind, pid, start, _ = self.text.split(":")
            owner = ProcessId(int(pid), int(start))
        except ValueError:
            return False
        return of_kind == kind and boot == processes.boot_id() and not processes.is_alive(owner)


def end_abandoned(kind: str) -> int:
    """Kill every shell of such a terminal; how many. Blocks for a look at each process of the machine."""
    found = [pid for pid, mark in _shells() if mark.is_abandoned(kind)]
    processes.send(found, signal.SIGKILL)
    return len(found)


def _shells() -> Iterator[tuple[int, Mark]]:
    for pid in _pids():
        with suppress(OSError):
            if (mark := _mark_of(pid)) is not None and _leads_a_terminal(pid):
                yield pid, mark


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _mark_of(pid: int) -> Mark | None:
    """Of the environment that the process was started with."""
    begin = f"{MARK}=".encode()
    for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if variable.startswith(begin):
            return Mark(variable.removeprefix(begin).decode(errors="replace"))
    return None


def _leads_a_terminal(pid: int) -> bool:
    session, terminal = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3:5]
    return int(session) == pid and terminal != "0"
