"""A task's specification, checked and translated into what the waiter is to do. Pure: looks at nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from runtimes import gpus, variables
from runtimes.errors import InvalidTask
from runtimes.types import TaskSpec

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONFIG_VARIABLE = "UCLOUD_CONFIG_DIR"
"""Tells a process where the files are that a container finds in `/etc/ucloud`."""


def check(spec: TaskSpec) -> None:
    """Raises `errors.InvalidTask` for what no process can be started from."""
    _check_name(spec.id.name)
    gpus.check(spec)
    if not spec.argv or not spec.argv[0]:
        raise InvalidTask("a process needs a program to run")
    if spec.image is not None or spec.mounts:
        raise InvalidTask("a process has neither image nor mounts: run this task in a container")
    for text in (*spec.argv, *spec.environment, *spec.environment.values()):
        if isinstance(text, str) and "\0" in text:
            raise InvalidTask("an argument or environment variable contains a NUL character")
    for name in spec.environment:
        if not name or "=" in name:
            raise InvalidTask(f"{name!r} cannot be the name of an environment variable")
    for name in spec.files:
        _check_file_name(name)


def _check_name(name: str) -> None:
    if not name or "/" in name or "\0" in name or name.startswith(".") or len(name.encode()) > 150:
        raise InvalidTask(f"{name!r} cannot be the name of a task")


def _check_file_name(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise InvalidTask(f"{name!r} cannot be the name of a file below /etc/ucloud")


def describe(
    spec: TaskSpec,
    cgroups: Sequence[Path],
    config: Path,
    owner: Mapping[str, str],
    now: float,
    groups: Sequence[int] = (),
) -> dict[str, Any]:
    """Content of `task.json`: what the launcher needs, and what a driver in another process needs afterwards."""
    spec = variables.resolve(spec, environment(spec, config, owner), str(config))
    return {
        "version": 1,
        "name": spec.id.name,
        "incarnation": spec.id.incarnation,
        "labels": dict(spec.labels),
        "created_at": now,
        "argv": list(spec.words),
        "environment": environment(spec, config, owner),
        "user": None if spec.user is None else list(spec.user),
        "groups": list(groups),
        "open_files": spec.limits.open_files,
        "cgroups": [str(folder) for folder in cgroups],
        "stdout": str(spec.logs.stdout),
        "stderr": str(spec.logs.stderr),
        "job_root": None if spec.job_root is None else str(spec.job_root),
        "job_folder": str(spec.job_folder),
    }


def environment(spec: TaskSpec, config: Path, owner: Mapping[str, str]) -> dict[str, str]:
    """The task's variables over a minimal environment; nothing is taken from our own (ENV-32)."""
    minimal = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "TMPDIR": "/tmp", **owner}
    if spec.files:
        minimal[CONFIG_VARIABLE] = str(config)
    return {**minimal, **spec.environment, **gpus.variables_of_process(spec)}
