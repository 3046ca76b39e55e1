"""What another process needs to find a container again: from a stored handle, or from the container's own labels.

Called by `driver`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtimes.docker import spec as container_spec
from runtimes.docker import state
from runtimes.docker.output import LogTarget
from runtimes.types import FoundTask, LogPaths, TaskHandle, TaskId

DRIVER = "docker"


def make(id: TaskId, target: LogTarget) -> TaskHandle:
    data = {
        "container": target.container,
        "stdout": str(target.paths.stdout),
        "stderr": str(target.paths.stderr),
        "jobFolder": str(target.job_folder),
        "owner": None if target.owner is None else list(target.owner),
        "jobRoot": None if target.job_root is None else str(target.job_root),
    }
    return TaskHandle(DRIVER, id, data=data)


def container_id(handle: TaskHandle) -> str:
    """By the id that Docker gave, which is never given again; else by name."""
    return str(handle.data.get("container", handle.id.name))


def log_target(handle: TaskHandle) -> LogTarget:
    owner = handle.data["owner"]
    return LogTarget(
        container=container_id(handle),
        paths=LogPaths(Path(handle.data["stdout"]), Path(handle.data["stderr"])),
        job_folder=Path(handle.data["jobFolder"]),
        owner=None if owner is None else (owner[0], owner[1]),
        job_root=_path(handle.data.get("jobRoot")),
    )


def target_of_container(container: Mapping[str, Any], owner: tuple[int, int] | None) -> LogTarget:
    """What the container's own labels say, for a process that has no handle. `owner`: of log files; None: the user that
    the container runs as."""
    labels = state.labels(container)
    return LogTarget(
        container=container["Id"],
        paths=container_spec.log_paths(labels),
        job_folder=Path(labels[container_spec.JOB_FOLDER]),
        owner=owner or state.owner(container),
        job_root=_path(labels.get(container_spec.JOB_ROOT)),
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def found_task(container: Mapping[str, Any]) -> FoundTask:
    labels = container["Labels"]
    name = container["Names"][0].removeprefix("/")
    return FoundTask(
        id=TaskId(name, labels[container_spec.INCARNATION]),
        labels=container_spec.public_labels(labels),
        created_at=float(container["Created"]),
    )
