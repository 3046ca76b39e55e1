"""Makes the folder of a job, and takes away what mounting left in it. Called by the performer, in a thread.

The folder lies on a user's drive, where anything may change at any moment: every name is used below an opened folder
and never through a link, which could lead the job, or us, out of the drive (D12).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ucloud_ray.control.drives import JOB_UID, JobFolder

PARAMETERS = "JobParameters.json"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o2775
"""The group may write, and what is made inside stays in the group, whoever the user of an image is (ENV-34)."""
_MODE_OF_ONE = 0o2770
"""Where users have accounts of their own, the others' are kept out."""


def make_job_folder(folder: JobFolder) -> bool:
    """Create it, owned by the job user where we may change owners. Repeating is harmless. True if it has no
    `JobParameters.json` yet.

    Raises `OSError`, also where a link lies under the name of a part of it.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    with _opened(folder, make=True) as opened:
        _give(opened, folder.uid)
        os.fchmod(opened, _MODE if folder.uid == JOB_UID else _MODE_OF_ONE)
        return not _exists(opened, PARAMETERS)


def write_parameters(folder: JobFolder, document: Mapping[str, Any] | None) -> None:
    """`JobParameters.json`, with which a user can import the job again (ENV-5), if the Core sent that. Never in place
    of a file that is there. Raises `OSError`."""
    parameters = ((document or {}).get("status") or {}).get("jobParametersJson")
    if not parameters:
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _opened(folder) as opened, suppress(FileExistsError):
        file = os.open(PARAMETERS, flags, 0o644, dir_fd=opened)
        with open(file, "w", encoding="utf-8") as writer:
            json.dump(parameters, writer, ensure_ascii=False, indent=2)
            writer.write("\n")
            _give(writer.fileno(), folder.uid)


def clear_mount_points(folder: JobFolder, names: Iterable[str]) -> None:
    """Remove what exists only because something was mounted over it: those of `names` that are an empty folder or an
    empty file (ENV-6). Call when no container of the job is left. Raises `OSError` if the folder cannot be opened."""
    with _opened(folder) as opened:
        for name in names:
            with suppress(OSError):  # not there, or not empty
                _clear(opened, name)


def _clear(folder: int, name: str) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.rmdir(name, dir_fd=folder)
    elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
        os.unlink(name, dir_fd=folder)


@contextmanager
def _opened(folder: JobFolder, *, make: bool = False) -> Iterator[int]:
    handle = os.open(folder.root, _FOLDER)
    try:
        for part in folder.relative.parts:
            inner = _enter(handle, part, make)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _enter(parent: int, name: str, make: bool) -> int:
    """Open the folder; make it if it is not there and wanted."""
    try:
        if make:
            os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        make = False
    handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    if make:
        _give(handle, JOB_UID)
    return handle


def _give(opened: int, uid: int) -> None:
    if os.geteuid() == 0:
        os.fchown(opened, uid, JOB_UID)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
