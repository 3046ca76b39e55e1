"""Where workspaces keep their files: UCloud paths to paths of the provider, and the job folders.

Used by the performer before a start and by the service when it checks a job. It does not mount anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ucloud_ray.control import folder_names
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.folder_names import component
from ucloud_ray.domain.job import Backend, Job, Owner
from ucloud_ray.settings import DriveSettings

JOB_UID = 11042
"""Owner of everything in a job folder (ENV-34)."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Drive:
    id: str
    title: str
    root: Path
    workspace: str
    """Whose it is."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    root: Path
    """Of its drive."""
    relative: PurePosixPath
    ucloud_path: str

    @property
    def path(self) -> Path:
        return self.root / self.relative


class Drives:
    """The configured drives, and homes made on demand for workspaces that have none (`policy.automaticHomes`)."""

    def __init__(self, configured: Sequence[DriveSettings], homes: Path | None) -> None:
        drives = [Drive(drive.id, drive.title, drive.path, _owner(drive)) for drive in configured]
        self._drives = {drive.id: drive for drive in drives}
        self._home_of = {drive.workspace: drive for drive in reversed(drives)}
        self._homes = homes

    def home(self, owner: Owner) -> Drive:
        """The drive for job folders: the member's own in a project, else the user's (ENV-2).

        Raises `BadRequest` if the workspace has no drive and none may be made.
        """
        drive = self._home_of.get(_workspace(owner))
        if drive is not None:
            return drive
        if self._homes is None:
            raise BadRequest("This workspace has no drive at this provider. Ask its operator to add one.")
        names = folder_names.home_of(owner)
        taken = names.drive_id in self._drives
        drive_id = folder_names.other_id(names.drive_id) if taken else names.drive_id
        return Drive(drive_id, "Home", self._homes / names.folder / names.member, _workspace(owner))

    def resolve(self, ucloud_path: str, owner: Owner) -> Path:
        """`/<driveId>/<path>` to a path of the provider, links resolved without leaving the drive (ENV-18).

        Raises `BadRequest` for a drive that is not of this workspace (ENV-16: our own view, whatever the Core allowed)
        and for a path that leaves its drive.
        """
        parts = PurePosixPath(ucloud_path).parts
        drive = self._drive(parts[1], owner) if len(parts) > 1 and parts[0] == "/" else None
        if drive is None or ".." in parts:
            raise BadRequest(f"The file {ucloud_path} is not on a drive of this workspace.")
        root = drive.root.resolve()
        path = root.joinpath(*parts[2:]).resolve()
        if not path.is_relative_to(root):
            raise BadRequest(f"The file {ucloud_path} is a link that leaves its drive.")
        return path

    def _drive(self, id: str, owner: Owner) -> Drive | None:
        drive = self._drives.get(id)
        if drive is None and self._homes is not None and (home := self.home(owner)).id == id:
            return home
        return drive if drive is not None and drive.workspace == _workspace(owner) else None

    def job_folder(self, job: Job) -> JobFolder:
        """Where the job's files go: `Jobs/<application title>/<job id>` on the home drive (ENV-2, ENV-3)."""
        drive = self.home(job.spec.owner)
        machine = job.spec.backend is Backend.VIRTUAL_MACHINE
        group = "VirtualMachines" if machine else component(job.spec.application_title or job.spec.application_name)
        relative = PurePosixPath("Jobs", group, component(job.id))
        return JobFolder(drive.root, relative, f"/{drive.id}/{relative}")


def make_job_folder(folder: JobFolder) -> None:
    """Create it, owned by the job user where we may change owners. Repeating is harmless; blocking.

    Raises `OSError`, also where a link lies under the name of a part of it: users can write to their drive, and a link
    would lead the job out of it (D12).
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.root, _FOLDER)
    try:
        for part in folder.relative.parts:
            inner = _enter(handle, part)
            os.close(handle)
            handle = inner
        _give_to_job_user(handle)
    finally:
        os.close(handle)


def _enter(parent: int, name: str) -> int:
    """Make the folder if it is not there, and open it."""
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    _give_to_job_user(handle)
    return handle


def _give_to_job_user(folder: int) -> None:
    if os.geteuid() == 0:
        os.fchown(folder, JOB_UID, JOB_UID)


def _owner(drive: DriveSettings) -> str:
    return _workspace(Owner(drive.owner.username or "", drive.owner.project_id))


def _workspace(owner: Owner) -> str:
    return f"project:{owner.project}" if owner.project else f"user:{owner.created_by}"
