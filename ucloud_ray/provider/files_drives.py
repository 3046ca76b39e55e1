"""Which folder of this machine a UCloud path lies in, and whose what is made there becomes. For calls and transfers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.drives import JOB_UID, Drives
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.job import Owner
from ucloud_ray.provider.files_errors import no_such_file, told
from ucloud_ray.provider.files_paths import DrivePath
from ucloud_ray.provider.files_tree import DriveFolder, Maker
from ucloud_ray.settings import Settings

THREADS = 8
"""For the disk: it may be slow, and everything else must go on meanwhile."""
REMOVERS = 2
"""To remove a large folder takes minutes; transfers do not wait for it."""


class FileDrives:
    def __init__(self, settings: Settings) -> None:
        homes = settings.data_dir / "drives" if settings.policy.automatic_homes else None
        self._drives = Drives(settings.drives, homes)
        self._homes = homes
        job_user = (JOB_UID, JOB_UID) if os.geteuid() == 0 else None
        self._mode = settings.policy.native_accounts
        self._accounts = Accounts(job_user, self._mode, settings.accounts)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self.removers = ThreadPoolExecutor(REMOVERS, thread_name_prefix="remove files")

    def folder(self, path: DrivePath, owner: Owner) -> DriveFolder:
        """Blocking: a home is made when it is first used. Raises `Refused`."""
        try:
            drive = self._drives.find(path.drive, owner)
        except BadRequest:
            drive = None
        if drive is None:
            raise no_such_file(str(path))
        if self._homes is not None and drive.root.is_relative_to(self._homes):
            with told(str(path)):
                drive.root.mkdir(parents=True, exist_ok=True)
        return DriveFolder(drive.root)

    def maker(self, user: str) -> Maker:
        if self._mode == "shared":
            return Maker()
        try:
            account = self._accounts.of(user)
        except BadRequest:
            account = None
        return Maker(account[0] if account else JOB_UID, private=True)
