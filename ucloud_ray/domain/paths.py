"""UCloud paths, `/<driveId>/<path inside the drive>`, as text. Nothing here looks at a file system."""

from __future__ import annotations

from ucloud_ray.domain.errors import InvalidInvocation


def normalise(path: str) -> str:
    """Without trailing slashes, doubled slashes and `.` components (INV-32).

    Raises `InvalidInvocation` for `..`, for a path without a drive, and for text that no process can be given.
    """
    require_passable(path, "A path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts:
        raise InvalidInvocation(f"The path {path!r} is not of the form /<drive>/<folder>/<file>.")
    if ".." in parts:
        raise InvalidInvocation(f"The path {path!r} contains '..'. Give the path without it.")
    return "/" + "/".join(parts)


def require_passable(text: str, what: str) -> None:
    """Raises `InvalidInvocation` for NUL and lone surrogates: no process can be given them (INV-7)."""
    if "\0" in text:
        raise InvalidInvocation(f"{what} contains a NUL character (U+0000). Remove it and submit the job again.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInvocation(f"{what} contains half a character (a lone surrogate). Remove it and submit again.")
