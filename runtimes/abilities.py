"""What some drivers can do beyond the contract. Declared by implementing the protocol, asked with `isinstance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from runtimes.terminals import Terminal, TerminalSize
from runtimes.types import ExitResult, FoundTask, Progress, TaskHandle, TaskId


@runtime_checkable
class ListsTasks(Protocol):
    """Can tell which tasks of ours exist on this machine, so that leftovers can be found (ENV-59)."""

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        """Every task labelled with this provider id, running or ended. Raises `errors.RuntimeUnavailable`."""
        ...


@runtime_checkable
class TellsQuickEnds(Protocol):
    """Can wait for an end for milliseconds and let go of it again at no cost worth mentioning."""

    async def ended_within(self, handle: TaskHandle, seconds: float) -> ExitResult | None:
        """How the task ended, if it did so within that time; None otherwise, also when that cannot be told."""
        ...


@runtime_checkable
class TellsProgress(Protocol):
    """Can say what takes a start so long."""

    def progress(self, id: TaskId) -> Progress | None:
        """What `prepare` of this task is waiting for; None when there is nothing worth telling. Never waits itself."""
        ...


@runtime_checkable
class SetsHosts(Protocol):
    """Has tasks with a hosts file of their own, which can be changed while they run (ENV-43, ENV-48)."""

    async def set_hosts(self, id: TaskId, hosts: Mapping[str, str]) -> None:
        """Replace the names and addresses that the task knows beside its own (`TaskSpec.hosts`), whole.

        Raises `errors.TaskNotFound`, `errors.RuntimeUnavailable`.
        """
        ...


@runtime_checkable
class OpensTerminals(Protocol):
    """Has tasks that people can look into while they run (IS-7 to IS-16)."""

    async def open_terminal(self, id: TaskId, size: TerminalSize) -> Terminal:
        """A shell inside the task: as its user, with its variables and limits, in its working directory (IS-13).

        Raises `errors.TaskNotFound` when it does not run, `errors.StartFailed` when it has no shell,
        `errors.RuntimeUnavailable`.
        """
        ...

    async def end_abandoned_terminals(self) -> int:
        """End the shells whose terminal was owned by a process that is gone; how many there were. Never raises."""
        ...
