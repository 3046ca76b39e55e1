"""Log files of a task: opened so that nothing planted in a user's folder is followed, and shown in that folder.

Called by drivers, and by the janitor of private logs. Reading them is not done here.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def open_append(path: Path, owner: tuple[int, int] | None = None) -> int:
    """Open for appending, made if absent, and return the file descriptor, which is closed on exec.

    A symbolic link under the file's own name is refused (LOG-18): `OSError` with `errno.ELOOP`. Raises `OSError` also
    when the folder is missing, and when the name belongs to a folder, a pipe or a device. `owner` is the uid and gid
    that a new file is given (LOG-15).
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_in(folder, path.name, owner)
    finally:
        os.close(folder)


def publish(log_path: Path, job_folder: Path, owner: tuple[int, int] | None = None) -> bool:
    """Show a private log file in the job folder under its own name, as a hard link: one copy of the bytes (LOG-16).

    Deleting the link leaves the private file whole. True when the job folder shows this very file, also from an earlier
    call. False, with nothing done, when the name is taken by anything else, or the two folders are on different file
    systems: then the caller decides whether to do without. `owner` is given the file.
    """
    shown = job_folder / log_path.name
    try:
        os.link(log_path, shown, follow_symlinks=False)
        if owner is not None:
            os.chown(log_path, *owner, follow_symlinks=False)
    except FileExistsError:
        return _is_same_file(log_path, shown)
    except OSError:
        return False
    return True


def take_up(log_path: Path, job_folder: Path, owner: tuple[int, int] | None = None) -> bool:
    """Go on with the log that an earlier life of the job left in its folder, as the private one of this machine.

    Otherwise a life on another machine would begin a private log of its own, and whoever reads by offset would miss
    what the lives before wrote. Such a log has a second name, on the machine that wrote it, and belongs to `owner`;
    anything else, and another file system, changes nothing. Whether `log_path` is that log now.
    """
    left = job_folder / log_path.name
    try:
        status = left.lstat()
        if (
            not _is_regular(status.st_mode)
            or status.st_nlink < 2
            or (owner and (status.st_uid, status.st_gid) != owner)
        ):
            return False
        os.link(left, log_path, follow_symlinks=False)
    except OSError:  # none is there, or the private one is
        return False
    return True


def show(log_path: Path, job_folder: Path, owner: tuple[int, int] | None = None) -> int | None:
    """Let the user see the log in the job folder: as a link to it, else (another file system, a name that he took) as a
    second file, which is returned, open for appending. None also if neither can be: that log is private then."""
    if log_path.parent == job_folder or publish(log_path, job_folder, owner):
        return None
    try:
        return open_append(job_folder / log_path.name, owner)
    except OSError:
        return None


def bound(path: Path, most_bytes: int) -> int:
    """Give back the oldest part of a private log that only we have a name for, and that takes more than `most_bytes` of
    disk: about half of `most_bytes` is left (LOG-16). While the user keeps his own link to it, all of it stays.

    Offsets stay valid: what is given back becomes a hole in the file. Returns the bytes given back; 0 also where the
    file system cannot make holes. Raises `OSError`.
    """
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        taken = status.st_blocks * 512
        if not _is_regular(status.st_mode) or status.st_nlink > 1 or taken <= most_bytes:
            return 0
        kept = most_bytes // 2
        end = (status.st_size - kept) // status.st_blksize * status.st_blksize
        return max(0, taken - kept) if give_back(file, end) else 0
    finally:
        os.close(file)


def give_back(file: int, end: int) -> bool:
    """Make everything before `end`, a multiple of the block size, a hole. False where that cannot be done."""
    keep_size, punch_hole = 1, 2
    return end > 0 and _libc.fallocate(file, keep_size | punch_hole, ctypes.c_int64(0), ctypes.c_int64(end)) == 0


_libc = ctypes.CDLL(None, use_errno=True)


def _open_in(folder: int, name: str, owner: tuple[int, int] | None) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # A name that exists is never given away: its owner chose what it is.
        file = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
        if owner is not None:
            os.fchown(file, *owner)
    except FileExistsError:
        file = os.open(name, flags, dir_fd=folder)
    return _require_regular(file, name)


def _require_regular(file: int, name: str) -> int:
    """Opened without blocking, because a planted pipe would hang the opener; a file is then made blocking again."""
    if not _is_regular(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{name} is not a file")
    os.set_blocking(file, True)
    return file


def _is_regular(mode: int) -> bool:
    return (mode & 0o170000) == 0o100000


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        a, b = one.lstat(), other.lstat()
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
