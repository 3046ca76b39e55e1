"""The content of `/etc/ucloud`, kept on this machine and mounted into the container.

Called by `launch`. The folder is mounted whole, so that a file that is replaced later is seen in the container.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from runtimes.errors import InvalidTask


def task_folder(state_dir: Path, name: str) -> Path:
    """Everything that this driver keeps on disk for the task of this name."""
    return state_dir / name


def etc_folder(state_dir: Path, name: str) -> Path:
    return task_folder(state_dir, name) / "etc"


def make_folders(state_dir: Path, name: str) -> bool:
    """Made before the container, because Docker refuses a mount without source; harmless to a task that has it.

    True if the task's folder was not there before.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        task_folder(state_dir, name).mkdir(mode=0o700)
        made = True
    except FileExistsError:
        made = False
    etc_folder(state_dir, name).mkdir(mode=0o755, exist_ok=True)
    return made


def write(state_dir: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write the files, each whole or not at all. Raises `errors.InvalidTask` for a name that leads elsewhere."""
    for relative, content in files.items():
        path = PurePosixPath(relative)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise InvalidTask(f"{relative!r} cannot be the name of a file below /etc/ucloud.")
        _write_one(etc_folder(state_dir, name) / path, content)


def _write_one(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(content)
    draft.chmod(0o444)
    os.replace(draft, file)


def remove(state_dir: Path, name: str) -> None:
    """Nothing to remove is success."""
    shutil.rmtree(task_folder(state_dir, name), ignore_errors=True)
