"""Ends parts whose minder was killed: nothing looks after them any more. Called by `up` and `down`."""

from __future__ import annotations

from ucloud_ray.cli import parts, state_file

STOP_SECONDS = 15.0


def stop_orphans(state: state_file.UpState) -> None:
    """Last started first. Only processes that are surely those of the state file are touched."""
    for mark in reversed(state.parts.values()):
        if mark.alive():
            mark.terminate(STOP_SECONDS)
            parts.sweep(mark.pid)
