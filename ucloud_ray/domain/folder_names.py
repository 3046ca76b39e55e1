"""Names of folders and drives made of texts that are not ours: titles, user names, project ids. Pure.

Used by `control.drives` and `wire.catalogue`. A name that is a fine folder name stays as it is. Where two workspaces
must never share one, any other gets a digest of the original text behind a `~`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from pathlib import PurePosixPath
from typing import NamedTuple

from ucloud_ray.domain.job import Owner

HOME_TITLE = "Home"
"""Of a drive that was made on demand."""

MAX_BYTES = 100
"""Of a name before its digest (ENV-3)."""

_UNSAFE = re.compile(r"[/\x00-\x1f\x7f-\x9f]")
_DIGEST = re.compile(r"~[0-9a-f]{32}$")
_ENDS_IN_UUID = re.compile(r"(.+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE | re.DOTALL)


class HomeNames(NamedTuple):
    drive_id: str
    folder: PurePosixPath
    """Below the folder of all homes."""


def component(text: str) -> str:
    """A safe path component of at most 100 bytes (ENV-3). Different texts may give the same one."""
    safe = _UNSAFE.sub("_", text).encode(errors="replace")[:MAX_BYTES].decode(errors="ignore").strip()
    return "_" + safe if safe in ("", ".", "..") else safe


def unique_component(text: str) -> str:
    """The same, and never that of another text."""
    safe = component(text)
    return safe if safe == text and not _DIGEST.search(text) else _with_digest(safe, "name", text)


def home_of(owner: Owner, taken: Container[str] = ()) -> HomeNames:
    """Never the folder or the drive of another workspace, nor of another member of the project (ENV-2). `taken`: ids
    that an operator gave to other drives."""
    user = unique_component(owner.created_by)
    if owner.project is None:
        return HomeNames(_free(f"home-{user}", taken), PurePosixPath(user, "home"))
    project = unique_component(owner.project)
    both = f"{user}-{project}"
    if _split(both) != (user, project):  # other members of other projects could be written the same
        both = _with_digest(both, "member", f"{user}/{project}")
    return HomeNames(_free(f"members-{both}", taken), PurePosixPath(project, f"members-{user}"))


def _free(drive_id: str, taken: Container[str]) -> str:
    return _with_digest(drive_id, "home", drive_id) if drive_id in taken else drive_id


def _split(both: str) -> tuple[str, str]:
    """How `<user>-<project>` is read: UCloud's project ids are UUIDs, and others are taken to have no dash."""
    if found := _ENDS_IN_UUID.fullmatch(both):
        return found[1], found[2]
    user, _, project = both.rpartition("-")
    return user, project


def _with_digest(name: str, kind: str, original: str) -> str:
    digest = hashlib.sha256(f"{kind}:{original}".encode(errors="surrogatepass")).hexdigest()
    return f"{name}~{digest[:32]}"
