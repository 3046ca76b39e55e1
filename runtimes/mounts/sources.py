"""What a task wants to see of this machine: its job folder and its mounts, opened below their roots.

`driver.prepare` asks whether all of it is there before an image is fetched; a start opens it once more, because links
may have changed meanwhile. What the user is told names UCloud paths and nothing of this machine (ENV-15).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from runtimes.errors import InvalidTask
from runtimes.mounts.beneath import LeavesRoot, open_beneath
from runtimes.types import TaskSpec

WORK = "/work"

_MISSING = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Source:
    """One file or folder of this machine."""

    path: str
    target: str
    """Where the task sees it."""
    root: str | None
    shown_as: str
    """For messages: a UCloud path where there is one."""
    read_only: bool


def of_task(spec: TaskSpec) -> Iterator[Source]:
    """The job folder first, then the mounts in their order."""
    root = None if spec.job_root is None else str(spec.job_root)
    yield Source(str(spec.job_folder), WORK, root, f"The job folder, which the task shall see as {WORK},", False)
    for mount in spec.mounts:
        name = f"The file {mount.shown_as}" if mount.shown_as else f"What {mount.target} shall show"
        yield Source(mount.source, mount.target, mount.root, name, mount.read_only)


def require(spec: TaskSpec) -> None:
    """Raises `errors.InvalidTask`. What this process may not look at is left to those who may."""
    for source in of_task(spec):
        try:
            os.close(open_source(source))
        except PermissionError:
            continue


def open_source(source: Source) -> int:
    """A descriptor that only names it (`O_PATH`). Raises `errors.InvalidTask`, and `PermissionError` where this process
    may not look."""
    try:
        opened = _open(source)
    except _MISSING as missing:
        raise InvalidTask(f"{source.shown_as} does not exist.") from missing
    except LeavesRoot as leaving:
        raise InvalidTask(f"{source.shown_as} is a link that leaves its drive.") from leaving
    mode = os.fstat(opened).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(opened)
        raise InvalidTask(f"{source.shown_as} is neither a file nor a folder.")
    return opened


def _open(source: Source) -> int:
    if source.root is None:
        return os.open(source.path, os.O_PATH | os.O_CLOEXEC)
    try:
        return open_beneath(source.root, source.path)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return _open_checked(source.root, source.path)


def _open_checked(root: str, path: str) -> int:
    """Before Linux 5.6: looked at afterwards, where the kernel cannot be asked to stay inside."""
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        real = real_path(opened)
        if os.path.commonpath([real, os.path.realpath(root)]) != os.path.realpath(root):
            raise LeavesRoot(path)
    except BaseException:
        os.close(opened)
        raise
    return opened


def checked_path(source: Source) -> str:
    """Where it lies at this moment, for a runtime that cannot be given what was opened. A link that is swapped later is
    not noticed. Raises `errors.InvalidTask`."""
    try:
        opened = open_source(source)
    except PermissionError:
        return source.path
    try:
        return real_path(opened)
    finally:
        os.close(opened)


def real_path(opened: int) -> str:
    """Where an opened file lies at this moment, links resolved."""
    return os.readlink(f"/proc/self/fd/{opened}")
