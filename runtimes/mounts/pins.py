"""Holds what a task shall see at places of ours, while a container runtime that only takes paths starts it.

    drive/data ──openat2──▶ descriptor ──bind mount──▶ <task folder>/pins/1 ──the runtime──▶ /work/data

A path is resolved once, below its root, and mounted by its descriptor: no link that is swapped afterwards can show the
container anything else (ENV-18). The place carries `nosuid,nodev`, read-only where asked, and private propagation
(ENV-16, ENV-19), and the mount that the runtime makes of it inherits all of that. It is not recursive: what else is
mounted below a drive stays out.

Places live as long as the start and no longer. The container has its own copy of each mount by then; and a place that
stays would be the user's drive below our state folder, where `rm -r` would find it. A starter that dies leaves them
behind: whoever releases the folder next takes them away. Needs root; called by drivers under a lock of theirs.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runtimes.mounts import syscalls
from runtimes.mounts.sources import Source, open_source

_FOLDER = "pins"
_RELEASED = ".released-"
_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV


def supported() -> bool:
    """Whether this process may mount, and the kernel can resolve below a root (Linux 5.6)."""
    if os.geteuid() != 0:
        return False
    try:
        os.close(syscalls.openat2(-1, "/", os.O_PATH, 0))
    except OSError:
        return False
    return True


def place(folder: Path, index: int) -> Path:
    """Where the source of this index is held below the task's folder."""
    return folder / _FOLDER / str(index)


def hold(folder: Path, sources: Sequence[Source]) -> None:
    """Hold them, in place of any that were held before. Raises `errors.InvalidTask`, `OSError`; then none is held."""
    release(folder)
    try:
        (folder / _FOLDER).mkdir(mode=0o700)
        for index, source in enumerate(sources):
            _hold_one(place(folder, index), source)
    except BaseException:
        release(folder)
        raise


def release(folder: Path) -> None:
    """Take all places away; none is success. Raises `OSError` if one does not go: then nothing below it may be removed.

    Renamed first: a runtime that still is about to look finds either what it shall show or nothing, never an empty
    place.
    """
    with suppress(FileNotFoundError):
        os.rename(folder / _FOLDER, folder / f"{_RELEASED}{uuid.uuid4().hex}")
    for released in folder.glob(f"{_RELEASED}*"):
        for held in list(os.scandir(released)):
            _release_one(held.path)
        released.rmdir()


def _hold_one(place: Path, source: Source) -> None:
    opened = open_source(source)
    try:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            place.mkdir()
        else:
            place.touch()
        syscalls.mount(f"/proc/self/fd/{opened}", str(place), syscalls.MS_BIND)
        flags = _FLAGS | (syscalls.MS_RDONLY if source.read_only else 0)
        syscalls.mount(None, str(place), syscalls.MS_BIND | syscalls.MS_REMOUNT | flags)
        syscalls.mount(None, str(place), syscalls.MS_PRIVATE)
    finally:
        os.close(opened)


def _release_one(path: str) -> None:
    """Unmounted lazily, because a container that starts may still hold it; then the empty place is removed. `rmdir`
    and `unlink` refuse a place with something mounted on it, so nothing of a drive can be hit."""
    while True:
        try:
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            break
    if os.path.isdir(path):
        os.rmdir(path)
    else:
        os.unlink(path)
