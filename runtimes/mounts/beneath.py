"""Opens a path inside a folder that its user can change at any time, and never anything outside of it (ENV-18).

Called by `sources`, and by drivers for the job folder. The kernel resolves the path in one step (`openat2`): a link
that is swapped between a check and a use has no such moment here. Links are followed as far as they stay below the
root; an absolute one leaves it, wherever it points to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from runtimes.mounts import syscalls

_RESOLVE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
_ATTEMPTS = 100
"""The kernel asks to try again when somebody renames folders while it walks up through `..`."""


class LeavesRoot(OSError):
    """The path leads out of its root."""


def open_beneath(root: str | os.PathLike[str], path: str | os.PathLike[str], flags: int = os.O_PATH) -> int:
    """Open `path`, which begins with `root`, and return the file descriptor, closed on exec.

    Raises `LeavesRoot`, and `OSError`: `FileNotFoundError` if there is no such file, `ENOSYS` before Linux 5.6.
    """
    relative = _relative(root, path)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open(folder, relative, flags | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise LeavesRoot(str(path)) from error
        raise
    finally:
        os.close(folder)


@contextmanager
def held(root: Path | None, folder: Path) -> Iterator[Path]:
    """A path that means this very folder while it is held, whatever happens to its name; `folder` itself without a
    root. Raises `LeavesRoot`, `OSError`."""
    if root is None:
        yield folder
        return
    opened = open_beneath(root, folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{opened}")
    finally:
        os.close(opened)


def _relative(root: str | os.PathLike[str], path: str | os.PathLike[str]) -> str:
    try:
        relative = PurePath(path).relative_to(root)
    except ValueError as error:
        raise LeavesRoot(str(path)) from error
    if ".." in relative.parts:
        raise LeavesRoot(str(path))
    return str(relative)


def _open(folder: int, relative: str, flags: int) -> int:
    for _ in range(_ATTEMPTS):
        try:
            return syscalls.openat2(folder, relative, flags, _RESOLVE)
        except BlockingIOError:
            continue
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), relative)
