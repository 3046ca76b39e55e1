"""What the daemon says about a container, in the words of the contract. Pure; called by `driver` and `launch`.

    created ──▶ running ⇄ paused ──▶ exited | dead
    never         RUNNING              ENDED
    launched

`created` is not a state of a task: whoever made that container died before starting it, and `start` will.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from signal import Signals
from typing import Any

from runtimes.docker import spec as container_spec
from runtimes.errors import TaskNotFound
from runtimes.types import ExitResult, TaskState, TaskStatus

_ENDED = frozenset({"exited", "dead", "removing"})
_HARMLESS = frozenset(
    {
        Signals.SIGCHLD,
        Signals.SIGCONT,
        Signals.SIGSTOP,
        Signals.SIGTSTP,
        Signals.SIGTTIN,
        Signals.SIGTTOU,
        Signals.SIGURG,
        Signals.SIGWINCH,
    }
)
_DEADLY = frozenset(Signals) - _HARMLESS


def task_status(container: Mapping[str, Any]) -> TaskStatus:
    """From the answer of "inspect container". Raises `errors.TaskNotFound` for one that was never launched."""
    state = container["State"]
    if was_never_launched(container):
        raise TaskNotFound("The container was made but never started.")
    started_at = _seconds(state["StartedAt"])
    if state["Status"] in _ENDED:
        return TaskStatus(TaskState.ENDED, started_at, exit_result(state))
    return TaskStatus(TaskState.RUNNING, started_at)


def was_never_launched(container: Mapping[str, Any]) -> bool:
    return bool(container["State"]["Status"] == "created")


def incarnation(container: Mapping[str, Any]) -> str | None:
    """Which attempt this container is; None for one that is not ours."""
    value: str | None = labels(container).get(container_spec.INCARNATION)
    return value


def labels(container: Mapping[str, Any]) -> Mapping[str, str]:
    return container["Config"].get("Labels") or {}


def owner(container: Mapping[str, Any]) -> tuple[int, int] | None:
    """uid and gid that the task runs as."""
    uid, _, gid = (container["Config"].get("User") or "").partition(":")
    return (int(uid), int(gid)) if uid.isdigit() and gid.isdigit() else None


def exit_result(state: Mapping[str, Any]) -> ExitResult:
    """How a container ended.

    Docker has one number for both: 128 + n is told for a program that signal n killed (by docker-init, which is PID 1,
    as a shell would) and for one that called `exit(128 + n)`. It is read as the signal where n is one that kills:
    programs that return such a code on their own do it to say just that.
    """
    number = int(state["ExitCode"])
    killed = number - 128 in _DEADLY
    return ExitResult(
        code=None if killed else number,
        signal=number - 128 if killed else None,
        out_of_memory=bool(state["OOMKilled"]),
        finished_at=_seconds(state["FinishedAt"]),
    )


def _seconds(moment: str) -> float | None:
    """Docker writes year 1 for "not yet"."""
    return None if moment.startswith("0001-") else datetime.fromisoformat(moment).timestamp()
