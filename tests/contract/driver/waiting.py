"""What a test of the suite waits for, and what it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtimes.types import TaskSpec
from tests.support.wait import async_wait_until


async def has_printed(spec: TaskSpec, text: str) -> None:
    """Wait until the task's standard output, in its log file, holds this text."""
    await becomes_true(lambda: text in stdout(spec), f"{text!r} in {spec.logs.stdout}")


async def appears(path: Path) -> None:
    await becomes_true(path.exists, f"{path} to exist")


async def becomes_true(condition: Callable[[], bool], what: str) -> None:
    async def look() -> bool:
        return condition()

    await async_wait_until(look, what)


def stdout(spec: TaskSpec) -> str:
    return spec.logs.stdout.read_text() if spec.logs.stdout.exists() else ""


def stderr(spec: TaskSpec) -> str:
    return spec.logs.stderr.read_text() if spec.logs.stderr.exists() else ""
