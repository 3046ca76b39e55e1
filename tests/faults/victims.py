"""Finds the processes of a running installation by what they are, and kills them as a crash would."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.support.stack import Stack
from tests.support.wait import wait_until


class Victims:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def supervisor(self) -> list[int]:
        return self._actors("ray::JobSupervisor")

    def replica_actors(self) -> list[int]:
        return self._actors("ray::replica-") + self._actors("ray::ReplicaActor")

    def node_agents(self) -> list[int]:
        return self._actors("ray::node-") + self._actors("ray::NodeAgent")

    def native_waiters(self) -> list[int]:
        """Of all native tasks of this stack, and those who succeeded a waiter that was killed."""
        return [pid for pid in self._carriers() if not _has_open(pid, "end.fifo")]

    def pumps(self) -> list[int]:
        """Who carry the output of this stack's containers."""
        return [pid for pid in self._carriers() if _has_open(pid, "end.fifo")]

    def _carriers(self) -> list[int]:
        """By what they are called, and by having a task's folder of this stack open."""
        return [pid for pid in _processes() if _name(pid) == "ucloud-waiter" and _has_open(pid, str(self._stack.data))]

    def all_of_ray(self) -> list[int]:
        """Every process of Ray's session: head, GCS, raylet, workers."""
        session = self._stack.pid("ray")
        return [pid for pid in _processes() if _session(pid) == session]

    def kill(self, pids: list[int]) -> None:
        """SIGKILL, and wait until each of them is gone."""
        assert pids, "there is nobody to kill: the test would prove nothing"
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not [pid for pid in pids if _alive(pid)], "the killed processes to be gone")

    def wait_supervised(self, killed: list[int]) -> None:
        """Until another supervisor runs and answers."""
        wait_until(lambda: set(self.supervisor()) - set(killed), "a new supervisor", timeout=60.0)
        self._stack.wait_answering()

    def _actors(self, title: str) -> list[int]:
        return [pid for pid in self.all_of_ray() if _command(pid).startswith(title)]


def _processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _session(pid: int) -> int | None:
    with suppress(OSError):
        return os.getsid(pid)
    return None


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _has_open(pid: int, part: str) -> bool:
    with suppress(OSError):
        return any(part in os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
