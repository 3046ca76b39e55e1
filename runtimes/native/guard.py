"""Whom the launcher watches over: the waiters of its tasks, and their orphans once a waiter was killed.

A task is done when its folder says so (`exit.json`; for a container `drained`) or is gone. As long as it is not, and
its waiter is dead, there is a successor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from runtimes.native.beside import DRAINED, stand_beside
from runtimes.native.order import Order
from runtimes.native.small import exists, read_json
from runtimes.native.successor import succeed
from runtimes.output.fifos import INNER

RETRY_MILLISECONDS = 500
"""When no successor could be made, or it failed by itself."""


class Ward:
    """A task, its open files, and what is known of its process."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.waiter = 0
        """The one that we made; 0 for a task of another launcher, whose orphans do not come to us."""
        self.is_launching = False
        """Whether its process exists is still to be reported."""
        self.has_failed = False
        """Who carried its output last ended by himself, and not well."""
        self.workload = 0
        self.status: int | None = None
        self.pipe: int | None = None
        """Where its successor waits for the status."""

    def is_done(self) -> bool:
        state = self.order.state
        if self.order.end is not None:
            return exists(state, DRAINED) or not exists(state, INNER)
        return exists(state, "exit.json") or not exists(state, "task.json")

    def was_started(self) -> bool:
        """By the waiter that we made, which is not so when another was there first."""
        if self.waiter and not self.workload and exists(self.order.state, "started.json"):
            started = read_json(self.order.state, "started.json")
            if started["waiter"][0] == self.waiter:
                self.workload = started["workload"][0]
        return not self.waiter or bool(self.workload)

    def tell(self) -> None:
        if self.status is not None and self.pipe is not None:
            with suppress(OSError):  # it was killed too: its own successor is told
                os.write(self.pipe, str(self.status).encode())

    def close(self) -> None:
        self.order.close()
        self.use_pipe(None)

    def use_pipe(self, pipe: int | None) -> None:
        if self.pipe is not None:
            os.close(self.pipe)
        self.pipe = pipe


class Guard:
    """`fork_off` is the launcher's."""

    def __init__(self, fork_off: Callable[..., int]) -> None:
        self._fork_off = fork_off
        self._by_waiter: dict[int, Ward] = {}
        self._by_workload: dict[int, Ward] = {}
        """Those whose orphans came to us."""
        self._bereaved: list[Ward] = []
        self._strays: dict[int, int] = {}
        """Status of ended processes, as long as one may be the workload of a task whose start was not reported yet."""
        self._must_retry = False

    def has_wards(self) -> bool:
        return bool(self._by_waiter or self._bereaved)

    def patience(self) -> int | None:
        return RETRY_MILLISECONDS if self._must_retry else None

    def watch(self, waiter: int, order: Order) -> Ward:
        ward = Ward(order)
        ward.waiter = waiter
        ward.is_launching = True
        self._by_waiter[waiter] = ward
        return ward

    def take_over(self, order: Order) -> None:
        """A task that others started. Raises `OSError`."""
        self._succeed(Ward(order))

    def look(self) -> None:
        """Collect who has ended, and give the bereaved their successors."""
        for pid, status in _collect():
            ward = self._by_waiter.pop(pid, None)
            if ward is None:
                self._strays[pid] = status
            else:
                ward.has_failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
                self._bereaved.append(ward)
        waiting, self._bereaved, self._must_retry = self._bereaved, [], False
        for ward in waiting:
            self._see_to(ward)
        self._match_strays()

    def _see_to(self, ward: Ward) -> None:
        if ward.is_launching or ward.has_failed:
            self._must_retry = self._must_retry or ward.has_failed
            ward.has_failed = False
            self._bereaved.append(ward)
        elif ward.is_done() or not ward.was_started():
            self._by_workload.pop(ward.workload, None)
            ward.close()
        else:
            try:
                self._succeed(ward)
            except OSError:
                self._must_retry = True
                self._bereaved.append(ward)

    def _succeed(self, ward: Ward) -> None:
        if ward.order.end is not None:
            self._by_waiter[self._fork_off(ward.order, None, stand_beside, ward.order)] = ward
        elif not ward.waiter:
            self._by_waiter[self._fork_off(ward.order, None, succeed, ward.order, None)] = ward
        else:
            self._by_workload[ward.workload] = ward
            self._succeed_ours(ward)

    def _succeed_ours(self, ward: Ward) -> None:
        reader, writer = os.pipe()
        ward.use_pipe(writer)
        try:
            self._by_waiter[self._fork_off(ward.order, reader, succeed, ward.order, reader)] = ward
        finally:
            os.close(reader)
        ward.tell()

    def _match_strays(self) -> None:
        for pid in self._strays.keys() & self._by_workload.keys():
            ward = self._by_workload[pid]
            ward.status = self._strays.pop(pid)
            ward.tell()
        if not self._bereaved:
            self._strays.clear()


def _collect() -> list[tuple[int, int]]:
    """In one go: a waiter that was killed and its child that ended come together."""
    found: list[tuple[int, int]] = []
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(ended)
    return found
