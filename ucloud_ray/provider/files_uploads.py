"""Uploads in parts: written under a name that nobody sees, and moved to their own once they are complete.

    /drive/.ucloud-ray-uploads/<id>  ── all bytes are there ──▶  /drive/folder/name

Nothing is kept in memory between parts: what has come is the length of the file, so an upload goes on after either side
was started again. A file that is there already stays as it is until then. One sender writes at a time.

Blocking; called by `files_bytes` in threads. Raises `OSError` and `Refused`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.provider.files_errors import Conflict, StorageFull, WrongOffset
from ucloud_ray.provider.files_paths import UPLOADS, DrivePath
from ucloud_ray.provider.files_tree import DriveFolder, Maker, move

ABANDONED_SECONDS = 7 * 24 * 3600
"""An upload that got nothing for so long is removed when the next one begins."""
_IN_USE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """Of one file."""

    drive: DriveFolder
    id: str
    """Name of the incomplete file; hexadecimal digits."""
    path: DrivePath
    policy: str
    """`REPLACE`, `RENAME` or `REJECT`."""
    maker: Maker

    def offset(self) -> int:
        """How much has come; 0 if nothing has."""
        try:
            with self.drive.opened(self._place) as folder:
                return os.stat(self.id, dir_fd=folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def begin(self, offset: int, total: int) -> Part:
        """Take the place for one part, which the caller closes. Raises `WrongOffset`, `Conflict`, `StorageFull`."""
        if offset == 0:
            if self.policy == "REJECT":  # before anything is sent for nothing
                self.drive.require_free(self.path)
            self._make_place()
        with self.drive.opened(self._place) as folder:
            file = self._open(folder, offset)
            try:
                self._take(folder, file, offset)
                self._check_room(file, offset, total)
            except BaseException:
                os.close(file)
                raise
        return Part(file)

    def complete(self, part: Part, total: int, sha256: str | None) -> str:
        """Give it its name once all of it is there; the name it got. Raises `BadRequest`, `Conflict`, `OSError`: only
        after a name that is taken does it stay, for another attempt."""
        if sha256 is not None and part.sha256() != sha256.lower():
            self.discard()
            raise BadRequest("What has arrived is not what was sent: the checksum differs. Send it again.")
        os.fsync(part.file)
        with self.drive.opened(self._place) as origin, self.drive.opened(self.path.parent) as target:
            if not self._is_mine(origin, part.file):
                raise Conflict("The upload was replaced by another one of the same file. Send it again.")
            return move(origin, self.id, target, self.path.name, self.policy)

    def discard(self) -> None:
        """Remove what has come."""
        with suppress(FileNotFoundError):
            self.drive.remove(self._place / self.id)

    # ------------------------------------------------------------------------------------------------ internal

    @property
    def _place(self) -> DrivePath:
        return DrivePath(self.path.drive, (UPLOADS,))

    def _make_place(self) -> None:
        self.drive.make_folder(self._place, "REPLACE", Maker(self.maker.uid, private=True))
        with self.drive.opened(self._place, os.O_RDONLY | os.O_DIRECTORY) as folder:
            for name in _abandoned(folder):
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)

    def _open(self, folder: int, offset: int) -> int:
        try:
            file = os.open(self.id, _IN_USE | (os.O_CREAT if offset == 0 else 0), 0o600, dir_fd=folder)
        except FileNotFoundError:
            raise WrongOffset(0) from None
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or self._is_foreign(found):
            os.close(file)
            raise Conflict("The upload's file was replaced by something else. Begin again.")
        return file

    def _check_room(self, file: int, offset: int, total: int) -> None:
        if total - offset > _free(file):
            self.discard()
            raise StorageFull(f"There is no room for {total} bytes on the drive. Remove something, and try again.")

    def _is_foreign(self, found: os.stat_result) -> bool:
        """Whether somebody has put another user's file there, to have it given to this one."""
        return os.geteuid() == 0 and found.st_uid != self.maker.uid and (found.st_uid != 0 or found.st_size > 0)

    def _is_mine(self, folder: int, file: int) -> bool:
        """Whether the opened file still is the incomplete one."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.id, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def _take(self, folder: int, file: int, offset: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another part of this upload is being received. Wait for it, or let it end.") from None
        if not self._is_mine(folder, file):  # whoever had the lock has completed it: it is the user's file now
            raise Conflict("This upload was completed by somebody else. Begin again if it was not you.")
        size = os.fstat(file).st_size
        if offset > size:
            raise WrongOffset(size)
        os.ftruncate(file, offset)  # a part that is sent once more
        os.lseek(file, offset, os.SEEK_SET)
        self.maker.own_file(file)


@dataclass(frozen=True, slots=True)
class Part:
    """The incomplete file, open and locked for one part."""

    file: int

    def write(self, pieces: Sequence[bytes]) -> None:
        """Raises `OSError`."""
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(self.file, left) :]

    def sha256(self) -> str:
        found = hashlib.sha256()
        offset = 0
        while piece := os.pread(self.file, _AT_ONCE, offset):
            found.update(piece)
            offset += len(piece)
        return found.hexdigest()

    def close(self) -> None:
        os.close(self.file)


def is_full(problem: OSError) -> bool:
    return problem.errno in (errno.ENOSPC, errno.EDQUOT)


def _free(file: int) -> int:
    found = os.fstatvfs(file)
    return found.f_bavail * found.f_frsize


def _abandoned(folder: int) -> list[str]:
    before = time.time() - ABANDONED_SECONDS
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.stat(follow_symlinks=False).st_mtime < before]
