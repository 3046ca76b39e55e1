"""A folder page by page: the same order while it changes, and memory for one page however many entries there are.

Each page reads all names and keeps the ones that come next, so that `next` is a place in the order and not a count:
what is added or removed meanwhile moves nothing. Called by `files_calls` in threads.
"""

from __future__ import annotations

import base64
import heapq
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.provider.files_paths import UPLOADS, DrivePath
from ucloud_ray.provider.files_tree import FOLDER, DriveFolder

DEFAULT_PAGE = 50
LARGEST_PAGE = 1_000

Key = tuple[int, bytes]
"""What is sorted by, and the name: two entries never share one."""
_BY: dict[str, Callable[[os.stat_result], int]] = {
    "SIZE": lambda found: found.st_size,
    "MODIFIED_AT": lambda found: found.st_mtime_ns,
    "CREATED_AT": lambda found: found.st_ctime_ns,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    size: int = DEFAULT_PAGE
    after: Key | None = None
    by: str = "PATH"
    descending: bool = False


def wanted(size: int | None, token: str | None, by: str | None, direction: str | None) -> Wanted:
    """From a request as it came. Raises `BadRequest`."""
    limit = min(size, LARGEST_PAGE) if size and size > 0 else DEFAULT_PAGE
    order = (by or "PATH").upper()
    return Wanted(
        size=limit,
        after=_read_token(token) if token else None,
        by=order if order in _BY else "PATH",
        descending=(direction or "").lower() == "descending",
    )


def page(drive: DriveFolder, path: DrivePath, wanted: Wanted) -> tuple[list[dict[str, Any]], str | None]:
    """`UFile`s without what the Core alone knows, and `next`. Raises `OSError`."""
    with drive.opened(path, FOLDER) as folder:
        keys = _next_keys(folder, wanted, top=not path.parts)
        shown = [file for key in keys[: wanted.size] if (file := _entry(folder, path, key[1])) is not None]
    return shown, _token(keys[wanted.size - 1]) if len(keys) > wanted.size else None


def one(drive: DriveFolder, path: DrivePath) -> dict[str, Any]:
    """The same for one file or folder. Raises `OSError`."""
    return _file(str(path), drive.look(path))


# ---------------------------------------------------------------------------------------------------- internal


def _next_keys(folder: int, wanted: Wanted, top: bool) -> list[Key]:
    """In order, one more than a page."""
    keys = _keys(folder, wanted, top)
    if wanted.descending:
        return heapq.nlargest(wanted.size + 1, (key for key in keys if wanted.after is None or key < wanted.after))
    return heapq.nsmallest(wanted.size + 1, (key for key in keys if wanted.after is None or key > wanted.after))


def _keys(folder: int, wanted: Wanted, top: bool) -> Iterator[Key]:
    value = _BY.get(wanted.by)
    with os.scandir(folder) as entries:
        for entry in entries:
            if top and entry.name == UPLOADS:
                continue
            with suppress(FileNotFoundError):  # gone since
                number = value(entry.stat(follow_symlinks=False)) if value else 0
                yield number, os.fsencode(entry.name)


def _entry(folder: int, path: DrivePath, name: bytes) -> dict[str, Any] | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    try:
        return _file(str(path / name.decode()), found)
    except UnicodeDecodeError:
        # JSON has no such text. It is shown, with the very bytes beside it, and cannot be named in other calls.
        file = _file(str(path / name.decode(errors="replace")), found)
        file["status"]["nameBytes"] = base64.b64encode(name).decode()
        return file


def _file(path: str, found: os.stat_result) -> dict[str, Any]:
    return {
        "id": path,
        "createdAt": found.st_ctime_ns // 1_000_000,
        "status": {
            "type": _type(found.st_mode),
            "sizeInBytes": found.st_size if stat.S_ISREG(found.st_mode) else None,
            "modifiedAt": found.st_mtime_ns // 1_000_000,
            "accessedAt": found.st_atime_ns // 1_000_000,
            "unixMode": stat.S_IMODE(found.st_mode),
            "unixOwner": found.st_uid,
            "unixGroup": found.st_gid,
        },
    }


def _type(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "DIRECTORY"
    return "SOFT_LINK" if stat.S_ISLNK(mode) else "FILE"


def _token(key: Key) -> str:
    text = json.dumps([key[0], base64.b64encode(key[1]).decode()])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(token: str) -> Key:
    try:
        number, name = json.loads(base64.urlsafe_b64decode(token))
        if type(number) is not int:
            raise ValueError
        return number, base64.b64decode(name, validate=True)
    except (ValueError, TypeError, RecursionError):
        raise BadRequest("next: must be taken unchanged from the page before") from None
