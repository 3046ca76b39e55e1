"""Removes a folder with everything in it, however deep and wide: no recursion, four descriptors, few names in memory.

    top/a/b/c  ──▶  top/b/c moved up to top/<new name>, and so on, until nothing is left

Blocking; called by `files_tree`. What a user swaps for a link meanwhile is removed as a link. `shutil.rmtree` holds one
descriptor and one call a level, of which a user can make more than a process has.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice

_AT_ONCE = 1_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def set_aside(parent: int, name: str) -> str | None:
    """Out of sight at once: a file is removed, a folder gets a name that nobody asks for, to be removed under it; that
    name. What is gone already is success. Raises `OSError`."""
    if _unlinked(parent, name):
        return None
    aside = f".removed-{uuid.uuid4().hex}"
    try:
        os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
    except FileNotFoundError:
        return None
    return aside


def remove(parent: int, name: str) -> None:
    """From an opened folder. What is gone already is success. Raises `OSError`; then some of it may be gone, and some
    have moved up."""
    if _unlinked(parent, name):
        return
    with suppress(FileNotFoundError):
        with _opened(parent, name) as top:
            for inner in _until_empty(top):
                _remove_below(top, inner)
        os.rmdir(name, dir_fd=parent)


def _remove_below(top: int, name: str) -> None:
    if _unlinked(top, name):
        return
    with suppress(FileNotFoundError, NotADirectoryError):  # it changed meanwhile; whoever calls looks again
        with _opened(top, name) as folder:
            for inner in _until_empty(folder):
                if not _unlinked(folder, inner):
                    os.rename(inner, f".removed-{uuid.uuid4().hex}", src_dir_fd=folder, dst_dir_fd=top)
        os.rmdir(name, dir_fd=top)


def _unlinked(folder: int, name: str) -> bool:
    """False for a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    return True


def _until_empty(folder: int) -> Iterator[str]:
    """Names, again and again; whoever gets one takes it away."""
    while names := _some(folder):
        yield from names


def _some(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, _AT_ONCE)]


@contextmanager
def _opened(folder: int, name: str) -> Iterator[int]:
    handle = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)
