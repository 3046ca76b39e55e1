"""Where workspaces keep their files: UCloud paths to paths of the provider, and the job folders.

Used by the performer before a start and by the service when it checks a job. It does not mount anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.job import Backend, Job, Owner
from ucloud_ray.settings import DriveSettings

JOB_UID = 11042
"""Owner of everything in a job folder (ENV-34)."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_UNSAFE = re.compile(r"[/\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Drive:
    id: str
    title: str
    root: Path


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
        self._drives = {drive.id: Drive(drive.id, drive.title, drive.path) for drive in configured}
        self._home_of = {
            _workspace(Owner(d.owner.username or "", d.owner.project_id)): d.id for d in reversed(configured)
        }
        self._homes = homes

    def home(self, owner: Owner) -> Drive:
        """The drive for job folders: the member's own in a project, else the user's (ENV-2).

        Raises `BadRequest` if the workspace has no drive and none may be made.
        """
        drive_id = self._home_of.get(_workspace(owner))
        if drive_id is not None:
            return self._drives[drive_id]
        if self._homes is None:
            raise BadRequest("This workspace has no drive at this provider. Ask its operator to add one.")
        name = _component(owner.project or owner.created_by)
        member = f"members-{_component(owner.created_by)}" if owner.project else "home"
        return Drive(f"{member}-{name}", "Home", self._homes / name / member)

    def resolve(self, ucloud_path: str) -> Path:
        """`/<driveId>/<path>` to a path of the provider, links resolved without leaving the drive (ENV-18).

        Raises `BadRequest` for an unknown drive and for a path that leaves its drive.
        """
        parts = PurePosixPath(ucloud_path).parts
        drive = self._drives.get(parts[1]) if len(parts) > 1 and parts[0] == "/" else None
        if drive is None or ".." in parts:
            raise BadRequest(f"The file {ucloud_path} is not on a drive of this provider.")
        root = drive.root.resolve()
        path = root.joinpath(*parts[2:]).resolve()
        if not path.is_relative_to(root):
            raise BadRequest(f"The file {ucloud_path} is a link that leaves its drive.")
        return path

    def job_folder(self, job: Job) -> JobFolder:
        """Where the job's files go: `Jobs/<application title>/<job id>` on the home drive (ENV-2, ENV-3)."""
        drive = self.home(job.spec.owner)
        machine = job.spec.backend is Backend.VIRTUAL_MACHINE
        group = "VirtualMachines" if machine else _component(job.spec.application_title or job.spec.application_name)
        relative = PurePosixPath("Jobs", group, _component(job.id))
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


def _workspace(owner: Owner) -> str:
    return f"project:{owner.project}" if owner.project else f"user:{owner.created_by}"


def _component(text: str) -> str:
    """A safe path component of at most 100 bytes (ENV-3)."""
    safe = _UNSAFE.sub("_", text).encode()[:100].decode(errors="ignore").strip()
    return "_" + safe if safe in ("", ".", "..") else safe
