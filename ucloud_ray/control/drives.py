"""Where workspaces keep their files: UCloud paths to paths of the provider, and the job folders.

Used by the performer before a start and by the service when it checks a job. It makes and mounts nothing: see
`job_folder` and `runtimes.mounts`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from runtimes.mounts.beneath import LeavesRoot, open_beneath
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.folder_names import HOME_TITLE, component, home_of
from ucloud_ray.domain.job import Backend, Job, Owner
from ucloud_ray.drive_owners import home_keys, key_of
from ucloud_ray.settings import DriveSettings

JOB_UID = 11042
"""Owner of everything in a job folder (ENV-34)."""


@dataclass(frozen=True, slots=True)
class Drive:
    id: str
    title: str
    root: Path
    workspace: str
    """Whose it is."""
    member: str | None = None
    """Of a project whose own files these are; None: everybody's of the workspace."""


class Standing(Enum):
    """What a drive is to a job."""

    OWN = "of its workspace"
    FOREIGN = "of another one, which may have shared it"
    GONE = "not there"


@dataclass(frozen=True, slots=True)
class Located:
    """A file or folder of a drive; it may be missing."""

    path: Path
    root: Path
    """Of its drive, which the path begins with."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    root: Path
    """Of its drive."""
    relative: PurePosixPath
    ucloud_path: str
    uid: int = JOB_UID
    """Its owner; the group is the job user's."""

    @property
    def path(self) -> Path:
        return self.root / self.relative


class Drives:
    """The configured drives, and homes made on demand for workspaces that have none (`policy.automaticHomes`)."""

    def __init__(self, configured: Sequence[DriveSettings], homes: Path | None) -> None:
        drives = [Drive(drive.id, drive.title, drive.path, *key_of(drive)) for drive in configured]
        self._drives = {drive.id: drive for drive in drives}
        self._home_of = {(drive.workspace, drive.member): drive for drive in reversed(drives)}
        self._homes = homes

    def home(self, owner: Owner) -> Drive:
        """The drive for job folders: the member's own in a project, else the user's (ENV-2).

        Raises `BadRequest` if the workspace has no drive and none may be made.
        """
        for key in home_keys(owner):
            if key in self._home_of:
                return self._home_of[key]
        if self._homes is None:
            raise BadRequest("This workspace has no drive at this provider. Ask its operator to add one.")
        names = home_of(owner, self._drives)
        return Drive(names.drive_id, HOME_TITLE, self._homes / names.folder, owner.workspace)

    def locate(self, ucloud_path: str, owner: Owner) -> Located:
        """Where `/<driveId>/<path>` is said to lie. Nothing is looked at: links are followed, as long as they stay on
        it, by whoever mounts it (ENV-18).

        Raises `BadRequest` for a drive that this workspace can never use, and for a path with `..`. Whether another
        workspace shares its drive is for `access_keeper` to find out before.
        """
        parts = PurePosixPath(ucloud_path).parts
        drive = self.find(parts[1], owner) if len(parts) > 1 and parts[0] == "/" else None
        if drive is None or ".." in parts:
            raise BadRequest(f"The file {ucloud_path} is not on a drive of this workspace.")
        return Located(drive.root.joinpath(*parts[2:]), drive.root)

    def check(self, ucloud_path: str, owner: Owner) -> None:
        """`locate`, and refuse a link that leaves its drive, so that its user hears of it. What does not exist may
        exist when the job starts (ENV-15). Raises `BadRequest`."""
        located = self.locate(ucloud_path, owner)
        try:
            os.close(open_beneath(located.root, located.path))
        except LeavesRoot as leaving:
            raise BadRequest(f"The file {ucloud_path} is a link that leaves its drive.") from leaving
        except OSError:
            return  # missing, or on a disk that only other machines have

    def find(self, id: str, owner: Owner) -> Drive | None:
        """One of the configured drives, or the home that is made for this owner."""
        drive = self._drives.get(id)
        if drive is None and self._homes is not None and (home := self.home(owner)).id == id:
            return home
        return drive

    def standing(self, id: str, owner: Owner) -> Standing:
        """Also for a home that was made before its owner had a drive in the configuration: it is still there."""
        drive = self._drives.get(id)
        if drive is not None:
            return Standing.OWN if drive.workspace == owner.workspace else Standing.FOREIGN
        made = self._homes is not None and home_of(owner, self._drives).drive_id == id
        return Standing.OWN if made else Standing.GONE

    def job_folder(self, job: Job) -> JobFolder:
        """Where the job's files go: `Jobs/<application title>/<job id>` on the home drive (ENV-2, ENV-3)."""
        drive = self.home(job.spec.owner)
        machine = job.spec.backend is Backend.VIRTUAL_MACHINE
        group = "VirtualMachines" if machine else component(job.spec.application_title or job.spec.application_name)
        relative = PurePosixPath("Jobs", group, component(job.id))
        return JobFolder(drive.root, relative, f"/{drive.id}/{relative}")
