"""Files and folders of one drive: opened, made, moved and removed below its folder and nowhere else (ENV-18, D12).

A drive is its users', who may change anything at any moment, links and whole folders too. So every name is used below a
folder that was opened beneath the drive's own, and the last part of a path never through a link: what is removed or
moved is the link. Links are followed on the way, as far as they stay inside.

Blocking; called by `files_calls` and `files_bytes` in threads. Raises `OSError`, `LeavesRoot` among them.
"""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runtimes.mounts.beneath import open_beneath
from runtimes.mounts.syscalls import RENAME_NOREPLACE, renameat2
from ucloud_ray.control.drives import JOB_UID
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.provider import files_removal
from ucloud_ray.provider.files_paths import MAX_NAME_BYTES, DrivePath

FOLDER = os.O_RDONLY | os.O_DIRECTORY
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_COPIES = 10_000
"""Of one name that are tried before giving up."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Whose what is made becomes (ENV-34), the same as in job folders."""

    uid: int = JOB_UID
    private: bool = False
    """Users have accounts of their own here, and keep others out."""

    def own_folder(self, opened: int) -> None:
        self._own(opened)
        os.fchmod(opened, 0o2770 if self.private else 0o2775)

    def own_file(self, opened: int) -> None:
        self._own(opened)
        os.fchmod(opened, 0o660 if self.private else 0o664)

    def _own(self, opened: int) -> None:
        if os.geteuid() == 0:
            os.fchown(opened, self.uid, JOB_UID)


@dataclass(frozen=True, slots=True)
class DriveFolder:
    """The folder of a drive on this machine."""

    root: Path

    def open(self, path: DrivePath, flags: int) -> int:
        """A descriptor. Links are followed as far as they stay inside; a pipe without a writer does not hold us up."""
        if not flags & os.O_PATH:
            flags |= os.O_NONBLOCK | os.O_NOCTTY
        return open_beneath(self.root, self.root.joinpath(*path.parts), flags)

    @contextmanager
    def opened(self, path: DrivePath, flags: int = os.O_PATH | os.O_DIRECTORY) -> Iterator[int]:
        handle = self.open(path, flags)
        try:
            yield handle
        finally:
            os.close(handle)

    def look(self, path: DrivePath) -> os.stat_result:
        """Of a link, not of what it leads to."""
        if not path.parts:
            with self.opened(path) as handle:
                return os.fstat(handle)
        with self.opened(path.parent) as folder:
            return os.stat(path.name, dir_fd=folder, follow_symlinks=False)

    def require_free(self, path: DrivePath) -> None:
        """Raises `FileExistsError` if there is something of that name; it may still be taken a moment later."""
        with suppress(FileNotFoundError):
            self.look(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def make_folder(self, path: DrivePath, policy: str, maker: Maker) -> str:
        """With those above it that are missing; its name. `policy`: `REJECT` one that is there, `RENAME`, or else take
        it as it is."""
        self._make_above(path.parent, maker)
        with self.opened(path.parent) as folder:
            for name in names_like(path.name) if policy == "RENAME" else (path.name,):
                try:
                    _make(folder, name, maker)
                except FileExistsError:
                    if policy == "RENAME":
                        continue
                    if policy == "REJECT" or not _is_folder(folder, name):
                        raise
                return name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def set_aside(self, path: DrivePath) -> DrivePath | None:
        """Out of sight at once; what is still to be removed, if anything. Gone already is success."""
        name = path.name
        with suppress(FileNotFoundError), self.opened(path.parent) as folder:
            aside = files_removal.set_aside(folder, name)
            return None if aside is None else path.parent / aside
        return None

    def remove(self, path: DrivePath) -> None:
        """With everything in it. Gone already is success."""
        name = path.name
        with suppress(FileNotFoundError), self.opened(path.parent) as folder:
            files_removal.remove(folder, name)

    def _make_above(self, path: DrivePath, maker: Maker) -> None:
        def is_missing(depth: int) -> bool:
            return not self._is_there(DrivePath(path.drive, path.parts[: depth + 1]))

        there = bisect_left(range(len(path.parts)), True, key=is_missing)
        folder = self.open(DrivePath(path.drive, path.parts[:there]), os.O_PATH | os.O_DIRECTORY)
        try:
            for name in path.parts[there:]:
                with suppress(FileExistsError):
                    _make(folder, name, maker)
                inner = os.open(name, _STEP, dir_fd=folder)
                os.close(folder)
                folder = inner
        finally:
            os.close(folder)

    def _is_there(self, path: DrivePath) -> bool:
        try:
            os.close(self.open(path, os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            return False
        return True


def open_file(drive: DriveFolder, path: DrivePath) -> int:
    """An ordinary file, to be read. Anything else is never opened: a device may act when it is. Raises `OSError`,
    `BadRequest`."""
    with drive.opened(path, os.O_PATH) as found:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise BadRequest("Only ordinary files can be downloaded.")
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)


def move(origin: int, name: str, target: int, new_name: str, policy: str) -> str:
    """From one opened folder to another; the name it got. `policy`: `REPLACE`, `RENAME` or `REJECT` what is there.

    A folder is never replaced. Raises `OSError`.
    """
    if policy == "REPLACE":
        if _is_folder(target, new_name):
            raise IsADirectoryError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)
        os.rename(name, new_name, src_dir_fd=origin, dst_dir_fd=target)
        return new_name
    for candidate in names_like(new_name) if policy == "RENAME" else (new_name,):
        try:
            _rename_only(origin, name, target, candidate)
        except FileExistsError:
            if policy != "RENAME":
                raise
            continue
        return candidate
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)


def names_like(name: str) -> Iterator[str]:
    """The name, and then others: `a.txt`, `a(1).txt`, `a(2).txt`. Never longer than a name may be."""
    yield name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > MAX_NAME_BYTES // 2:
        stem, dot, extension = name, "", ""
    for number in range(1, _MOST_COPIES):
        tail = f"({number}){dot}{extension}"
        kept = stem.encode()[: MAX_NAME_BYTES - len(tail.encode())].decode(errors="ignore")
        yield kept + tail


def _rename_only(origin: int, name: str, target: int, new_name: str) -> None:
    """Never in place of anything. File systems that cannot promise that (NFS) get a look before."""
    try:
        renameat2(origin, name, target, new_name, RENAME_NOREPLACE)
    except OSError as problem:
        # Also what moving a folder into itself is answered with; then the rename says so once more.
        if problem.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        if _exists(target, new_name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name) from problem
        os.rename(name, new_name, src_dir_fd=origin, dst_dir_fd=target)


def _make(folder: int, name: str, maker: Maker) -> None:
    os.mkdir(name, 0o770, dir_fd=folder)
    made = os.open(name, FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if os.fstat(made).st_uid == os.geteuid():  # else somebody has put a folder of theirs in its place
            maker.own_folder(made)
    finally:
        os.close(made)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
