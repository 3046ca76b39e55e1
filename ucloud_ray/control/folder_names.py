"""Names of folders and drives made of texts that are not ours: titles, user names, project ids. Pure.

Used by `drives`. A name that is a fine folder name stays as it is. Where two workspaces must never share one, any other
gets a digest of the original text behind a `~`.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from ucloud_ray.domain.job import Owner

MAX_BYTES = 100
"""Of a name before its digest (ENV-3)."""

_UNSAFE = re.compile(r"[/\x00-\x1f\x7f-\x9f]")
_DIGEST = re.compile(r"~[0-9a-f]{32}$")
_ENDS_IN_UUID = re.compile(r"(.+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE | re.DOTALL)


class HomeNames(NamedTuple):
    """Where the home of a workspace lies below the folder of all homes, and its drive id."""

    folder: str
    member: str
    """The folder within."""
    drive_id: str


def component(text: str) -> str:
    """A safe path component of at most 100 bytes (ENV-3). Different texts may give the same one."""
    safe = _UNSAFE.sub("_", text).encode(errors="replace")[:MAX_BYTES].decode(errors="ignore").strip()
    return "_" + safe if safe in ("", ".", "..") else safe


def unique_component(text: str) -> str:
    """The same, and never that of another text."""
    safe = component(text)
    return safe if safe == text and not _DIGEST.search(text) else _with_digest(safe, "name", text)


def home_of(owner: Owner) -> HomeNames:
    """Never the folder or the drive of another workspace, nor of another member of the project (ENV-2)."""
    user = unique_component(owner.created_by)
    if owner.project is None:
        return HomeNames(user, "home", f"home-{user}")
    project = unique_component(owner.project)
    both = f"{user}-{project}"
    if _split(both) != (user, project):  # other members of other projects could be written the same
        both = _with_digest(both, "member", f"{user}/{project}")
    return HomeNames(project, f"members-{user}", f"members-{both}")


def other_id(drive_id: str) -> str:
    """For a home whose id an operator gave to another drive."""
    return _with_digest(drive_id, "home", drive_id)


def _split(both: str) -> tuple[str, str]:
    """How `<user>-<project>` is read: UCloud's project ids are UUIDs, and others are taken to have no dash."""
    if found := _ENDS_IN_UUID.fullmatch(both):
        return found[1], found[2]
    user, _, project = both.rpartition("-")
    return user, project


def _with_digest(name: str, kind: str, original: str) -> str:
    digest = hashlib.sha256(f"{kind}:{original}".encode(errors="surrogatepass")).hexdigest()
    return f"{name}~{digest[:32]}"
