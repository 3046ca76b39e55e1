"""UCloud paths (`/<driveId>/<folder>/<name>`) of requests. Pure; what they mean on a disk is for `files_tree`.

The rest of a path is taken as it is: percent signs, quotes, line breaks and anything else are part of names.
"""

from __future__ import annotations

from dataclasses import dataclass

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.texts import one_line
from ucloud_ray.provider.files_errors import no_such_file

UPLOADS = ".ucloud-ray-uploads"
"""At the top of a drive: what is not complete yet. Nobody sees it, and nobody can name it."""
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4_000
"""The system takes 4,096 of a path; ours begin with a folder of the machine."""


@dataclass(frozen=True, slots=True)
class DrivePath:
    drive: str
    parts: tuple[str, ...]
    """Below the drive; empty for the drive itself."""

    @property
    def name(self) -> str:
        """Raises `BadRequest` for the drive itself, which is no file of anything."""
        if not self.parts:
            raise BadRequest(f"/{self.drive} is a whole drive. Name a file or folder on it.")
        return self.parts[-1]

    @property
    def parent(self) -> DrivePath:
        return DrivePath(self.drive, self.parts[:-1])

    def __truediv__(self, name: str) -> DrivePath:
        return DrivePath(self.drive, (*self.parts, name))

    def __str__(self) -> str:
        return "/" + "/".join((self.drive, *self.parts))


def parse(text: str) -> DrivePath:
    """Raises `BadRequest`, and `NotFound` for what nobody may name."""
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if not text.startswith("/") or not parts:
        raise BadRequest(f"The path {one_line(text)} must be like /drive/folder/file.")
    if ".." in parts:
        raise BadRequest(f"The path {one_line(text)} must not contain '..'.")
    _check_bytes(text, parts)
    if parts[1:2] == (UPLOADS,):
        raise no_such_file(text)
    return DrivePath(parts[0], parts[1:])


def parse_inside(text: str) -> DrivePath:
    """Of something on a drive. Raises `BadRequest` also for the drive itself."""
    path = parse(text)
    return path.parent / path.name


def _check_bytes(text: str, parts: tuple[str, ...]) -> None:
    try:
        too_long = len(text.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts)
    except UnicodeEncodeError:
        raise BadRequest("The path is not valid Unicode.") from None
    if "\0" in text:
        raise BadRequest("A path must not contain a NUL.")
    if too_long:
        raise BadRequest(
            f"The path is too long: at most {MAX_NAME_BYTES} bytes for a name and {MAX_PATH_BYTES} for all of it."
        )
