"""How a task comes to run exactly once, however many try and wherever they die.

claim the folder ──▶ ask the launcher for a waiter ──▶ started.json
     │                     │
     │ exists: attach      │ launcher died, or another starter's waiter was first: look again
     ▼                     ▼
started.json? done    the lock of the folder decides; asking twice starts nothing twice
"""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from runtimes.errors import InvalidTask, RuntimeUnavailable, StartFailed
from runtimes.mounts import beneath
from runtimes.native import cgroup, plan
from runtimes.native.launcher_client import LauncherClient, LauncherDied
from runtimes.native.limits import HardLimits
from runtimes.native.task_folder import TaskFolder
from runtimes.native.threads import Threads
from runtimes.output.logs import Opened, open_again, open_folder, open_logs
from runtimes.types import LogPaths, TaskSpec

ATTEMPTS = 5
"""How often a launcher may die under one start."""
LOOK_AGAIN_SECONDS = 0.005
SETTLED_WITHIN_SECONDS = 30.0
"""How long another starter's launch may be under way."""
OURS_TO_SOLVE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM})
"""Trouble of the machine; other refusals to open a file are the specification's fault."""


class Starter:
    def __init__(self, launcher: LauncherClient, limits: HardLimits, threads: Threads) -> None:
        self._launcher = launcher
        self._limits = limits
        self._threads = threads

    async def start(self, spec: TaskSpec, folder: TaskFolder) -> None:
        """Raises `StartFailed`, `NameTaken`, `InvalidTask`, `RuntimeUnavailable`, `OSError`."""
        with ExitStack() as files:
            opened = await self._threads.run(self._claim, spec, folder, files)
            if opened is None:
                return
            try:
                await self._launch(folder, opened)
            except Exception:
                await self._undo(spec, folder)
                raise

    def _claim(self, spec: TaskSpec, folder: TaskFolder, files: ExitStack) -> Opened | None:
        """The files that a launch needs; None if the task was launched already."""
        if _is_started(spec, folder):
            return None
        # Before the folder is made, so that what is wrong with the specification leaves nothing.
        opened = _open_files(spec, files)
        self._make_folder(spec, folder)
        opened.files.insert(0, open_folder(folder.folder, files))
        return opened

    def _make_folder(self, spec: TaskSpec, folder: TaskFolder) -> None:
        task = plan.describe(
            spec,
            self._limits.folders(spec.id),
            folder.folder / "etc",
            _owner(spec.user, spec.job_folder),
            time.time(),
            _groups(spec),
        )
        folder.create(task, spec.files)
        try:
            # After the folder, which names the control groups: what exists can always be found and removed.
            self._limits.create(spec)
        except OSError:
            _is_undone(spec, folder)
            raise

    async def _launch(self, folder: TaskFolder, opened: Opened) -> None:
        for _ in range(ATTEMPTS):
            try:
                answer = await self._launcher.request(opened.files, opened.copies)
            except LauncherDied:
                answer = {"outcome": "busy"}
            if await self._is_settled(folder, answer):
                return
        raise RuntimeUnavailable(f"{folder.name} could not be started: the launcher keeps dying, see launcher.log")

    async def _is_settled(self, folder: TaskFolder, answer: Mapping[str, str]) -> bool:
        if answer["outcome"] in ("started", "again"):
            return True
        if answer["outcome"] == "busy":
            return await self.another_started_it(folder)
        if answer["outcome"] == "gone":
            raise StartFailed(f"{folder.name} was destroyed while it was being started")
        raise StartFailed(f"the process could not be started: {answer['error']}")

    async def _undo(self, spec: TaskSpec, folder: TaskFolder) -> None:
        """Leave nothing. A waiter that reported its failure may need a moment to leave and let go of the folder."""
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if await self._threads.run(_is_undone, spec, folder):
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def carry_on(self, folder: TaskFolder) -> bool:
        """Have its output carried after its waiter and the launcher were killed. Whether that could be done."""
        with ExitStack() as files:
            try:
                opened = await self._threads.run(_reopen, folder, files)
                answer = await self._launcher.request(opened.files, opened.copies, "carry")
            except (OSError, LauncherDied):
                return False
        return bool(answer["outcome"] == "started")

    async def another_started_it(self, folder: TaskFolder) -> bool:
        """Wait until it is clear whether the task was started. Raises `RuntimeUnavailable` if that takes too long."""
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if await self._threads.run(folder.started):
                return True
            if not await self._threads.run(folder.is_locked):
                # A waiter writes the file before it lets go of the lock.
                return await self._threads.run(folder.started) is not None
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise RuntimeUnavailable(f"another process has been starting {folder.name} for too long")


def _is_started(spec: TaskSpec, folder: TaskFolder) -> bool:
    return folder.belongs_to(spec.id.incarnation) and folder.started() is not None


def _is_undone(spec: TaskSpec, folder: TaskFolder) -> bool:
    """One attempt. Nothing is to be undone if somebody else's start succeeded; False while a waiter is at it."""
    task = folder.task_of(spec.id)
    if task is None or folder.started() is not None:
        return True
    if not folder.remove():
        return False
    cgroup.remove([Path(group) for group in task["cgroups"]])
    return True


def _open_files(spec: TaskSpec, files: ExitStack) -> Opened:
    """Opened here and handed over, so that neither a renamed folder nor a planted link leads the process elsewhere."""
    try:
        job_folder = files.enter_context(beneath.held(spec.job_root, spec.job_folder))
        opened = open_logs(spec.logs, spec.job_folder, job_folder, spec.user, files)
        opened.files.insert(2, open_folder(job_folder, files))
    except beneath.LeavesRoot as leaving:
        raise InvalidTask("the job folder is a link that leaves its drive") from leaving
    except OSError as error:
        if error.errno in OURS_TO_SOLVE:
            raise
        raise InvalidTask(f"cannot open {error.filename or 'a log file'}: {error.strerror or error}") from error
    return opened


def _reopen(folder: TaskFolder, files: ExitStack) -> Opened:
    """Raises `OSError`."""
    if (task := folder.task()) is None:
        raise FileNotFoundError(folder.folder)
    logs = LogPaths(Path(task["stdout"]), Path(task["stderr"]))
    root = None if task["job_root"] is None else Path(task["job_root"])
    owner = None if task["user"] is None else (task["user"][0], task["user"][1])
    opened = open_again(logs, root, Path(task["job_folder"]), owner, files)
    opened.files.insert(0, open_folder(folder.folder, files))
    return opened


def _groups(spec: TaskSpec) -> list[int]:
    """Of the account on this machine. Raises `InvalidTask` if it has none of this name and number."""
    if spec.login is None or spec.user is None:
        return []
    uid, gid = spec.user
    try:
        known = pwd.getpwnam(spec.login).pw_uid == uid
    except KeyError:
        known = False
    if not known:
        raise InvalidTask(f"this machine has no account {spec.login} with the user id {uid}")
    return os.getgrouplist(spec.login, gid)


def _owner(user: tuple[int, int] | None, job_folder: Path) -> dict[str, str]:
    """HOME and USER of whoever the process runs as; a user without an account lives in the job folder."""
    uid = os.geteuid() if user is None else user[0]
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return {"HOME": str(job_folder), "USER": str(uid)}
    return {"HOME": account.pw_dir, "USER": account.pw_name}
