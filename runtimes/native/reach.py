"""Whether a process of another user can get at the files that we made for it. Called by `driver` before a start.

Its own folder and its logs are handed to it open; a script for bash has to be found by its path.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runtimes.errors import InvalidTask
from runtimes.types import FileRef, TaskSpec


def require_reachable(spec: TaskSpec, state_dir: Path) -> None:
    """Raises `errors.InvalidTask` if the task is to run one of its files and may not enter a folder on the way."""
    if spec.user is None or not any(isinstance(word, FileRef) for word in spec.argv):
        return
    for folder in (*reversed(state_dir.parents), state_dir):
        if folder.exists() and not may_enter(os.stat(folder), *spec.user):
            raise InvalidTask(
                f"processes of this provider may not enter {folder} on its machine: its operator must allow that"
                f" (chmod o+x {folder})"
            )


def may_enter(folder: os.stat_result, uid: int, gid: int) -> bool:
    """By the modes alone. The first class that fits decides, as in the kernel."""
    if uid == 0:
        return True
    if folder.st_uid == uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)
