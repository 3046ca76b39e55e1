"""Whether a job may use the drives of others that it uses (ACC-19, ACC-20, ENV-16, ENV-17). Pure.

A drive of the job's own workspace needs no leave. For any other the Core knows who was given which right. Called by
`control.access_keeper` when a job is accepted and from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ucloud_ray.domain.job import JobSpec, Owner
from ucloud_ray.domain.paths import normalise

READ, EDIT = "READ", "EDIT"
DRIVE_GONE = "Drive is no longer valid. Was it deleted?"


@dataclass(frozen=True, slots=True)
class Share:
    """A drive as the Core has it."""

    title: str
    owner: Owner
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """User to permissions."""
    projects: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Project to what any group of it may do. Who is in a group, the Core alone knows."""


class DriveUse(NamedTuple):
    drive: str
    writes: bool
    """Any of its mounts is read-write (ENV-17)."""


def drives_used(spec: JobSpec) -> list[DriveUse]:
    """Every drive that the job uses, once."""
    writes: dict[str, bool] = {}
    for mount in spec.launch.mounts:
        drive = normalise(mount.ucloud_path).split("/")[1]
        writes[drive] = writes.get(drive, False) or not mount.read_only
    return [DriveUse(drive, writing) for drive, writing in writes.items()]


def refuse_use(share: Share | None, owner: Owner, writes: bool) -> str | None:
    """Why this owner's job may not use the drive, for its user; None if it may. `share` None: the Core has no such
    drive. Losing the right to write is no loss for who only reads (ACC-20)."""
    if share is None:
        return DRIVE_GONE
    if share.owner.workspace == owner.workspace:
        return None
    given = share.users.get(owner.created_by, frozenset()) | share.projects.get(owner.project or "", frozenset())
    if EDIT in given or (READ in given and not writes):
        return None
    return f"You no longer have permissions to use this drive: {share.title}"
