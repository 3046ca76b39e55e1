"""What calls on files are refused with, and how errors of the system become that. Texts name UCloud paths only.

Refused
├── Conflict      409   there is one of that name, or an upload is not where its sender believes
├── PartTooSlow   408   nothing comes; what came is kept
└── StorageFull   507   nothing of it is left
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.mounts.beneath import LeavesRoot
from ucloud_ray.control.errors import BadRequest, NotFound, Refused
from ucloud_ray.domain.texts import one_line
from ucloud_ray.provider.errors import Forbidden


class Conflict(Refused):
    status = 409


class WrongOffset(Conflict):
    """A part that does not continue what is there."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload goes on at byte {offset}. Send the part that begins there.")
        self.args = (offset,)
        self.offset = offset


class StorageFull(Refused):
    status = 507


class PartTooSlow(Refused):
    """The sender has stopped; what has come so far is kept."""

    status = 408


def no_such_file(path: str) -> NotFound:
    return NotFound(f"There is no file or folder {one_line(path)}, or you may not use it.")


@contextmanager
def told(path: str) -> Iterator[None]:
    """Raises `Refused` in place of `OSError`. `path`: of UCloud, for the text."""
    try:
        yield
    except LeavesRoot as leaving:
        raise BadRequest(f"The file {one_line(path)} is a link that leaves its drive.") from leaving
    except OSError as problem:
        raise _refusal(problem, one_line(path)) from problem


def _refusal(problem: OSError, path: str) -> Refused:
    match problem.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return no_such_file(path)
        case errno.ENOTEMPTY:
            return Conflict(f"Something was written into {path} meanwhile. Stop who does, and try again.")
        case errno.EEXIST:
            return Conflict(f"{path} exists already. Choose another name, or another conflictPolicy.")
        case errno.ENOSPC | errno.EDQUOT:
            return StorageFull("There is no room left on the drive. Remove something, and try again.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Forbidden(f"The provider may not do that with {path}. Ask its operator.")
        case errno.EXDEV:
            return BadRequest(
                f"{path} lies on another disk, to which nothing can be moved. Download it, and upload it."
            )
        case _:
            return BadRequest(f"That cannot be done with {path}: {problem.strerror}.")
