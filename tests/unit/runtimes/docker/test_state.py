"""What the daemon says about a container, in the words of the contract."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.docker import state
from runtimes.errors import TaskNotFound
from runtimes.types import ExitResult, TaskState, TaskStatus

STARTED, STARTED_SECONDS = "2026-11-24T20:22:44.184123456Z", 1795551764.184123
FINISHED, FINISHED_SECONDS = "2026-11-24T20:22:45Z", 1795551765.0


def container(status: str, code: int = 0, *, oom: bool = False, **config: Any) -> dict[str, Any]:
    times = {"StartedAt": STARTED, "FinishedAt": FINISHED if status in ("exited", "dead") else "0001-01-01T00:00:00Z"}
    return {"State": {"Status": status, "ExitCode": code, "OOMKilled": oom, **times}, "Config": config}


@pytest.mark.parametrize("status", ["running", "paused", "restarting"])
def test_a_container_that_lives_is_running(status: str) -> None:
    assert state.task_status(container(status)) == TaskStatus(TaskState.RUNNING, pytest.approx(STARTED_SECONDS))


def test_an_exit_status_is_told_with_its_time() -> None:
    ended = state.task_status(container("exited", 3))
    assert ended.state is TaskState.ENDED
    assert ended.exit == ExitResult(code=3, finished_at=FINISHED_SECONDS)


@pytest.mark.parametrize(
    ("number", "code", "signal"),
    [
        (0, 0, None),
        (126, 126, None),
        (127, 127, None),
        (128, 128, None),
        (137, None, 9),
        (139, None, 11),
        (143, None, 15),
        (145, 145, None),
        (148, 148, None),
        (255, 255, None),
    ],
)
def test_a_code_above_128_is_the_signal_that_kills(number: int, code: int | None, signal: int | None) -> None:
    """17 (a child ended) and 20 (stop from the terminal) do not kill, so 145 and 148 are codes."""
    result = state.task_status(container("exited", number)).exit
    assert result is not None
    assert (result.code, result.signal) == (code, signal)


def test_memory_is_a_note_beside_the_exit_status() -> None:
    """Docker also says so when only a child was killed and the program went on."""
    result = state.task_status(container("exited", 0, oom=True)).exit
    assert result == ExitResult(code=0, out_of_memory=True, finished_at=FINISHED_SECONDS)


def test_a_container_that_was_never_started_is_no_task() -> None:
    with pytest.raises(TaskNotFound):
        state.task_status(container("created", 128))


@pytest.mark.parametrize(
    ("user", "owner"), [("11042:11042", (11042, 11042)), ("1000", None), ("", None), ("a:b", None)]
)
def test_the_owner_is_the_user_that_the_task_was_given(user: str, owner: tuple[int, int] | None) -> None:
    assert state.owner(container("running", User=user)) == owner


def test_a_container_without_labels_is_nobodys() -> None:
    assert state.incarnation(container("running", Labels=None)) is None
