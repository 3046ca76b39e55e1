"""A driver's handle as JSON, for the job's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtimes.types import TaskHandle, TaskId


def to_json(handle: TaskHandle) -> dict[str, Any]:
    return {
        "driver": handle.driver,
        "name": handle.id.name,
        "incarnation": handle.id.incarnation,
        "version": handle.version,
        "data": dict(handle.data),
    }


def from_json(stored: Mapping[str, Any]) -> TaskHandle:
    task = TaskId(stored["name"], stored["incarnation"])
    return TaskHandle(stored["driver"], task, stored["version"], stored["data"])
