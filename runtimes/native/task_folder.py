"""The folder of one task below `state_dir`: the only memory of the native driver, shared by all its processes.

    <state_dir>/<name>/
        task.json       what runs, made together with the folder; gone first when the task is destroyed
        lock            held by the waiter as long as it lives, and before that by who becomes the user's program
        started.json    process ids with start times: written before the first instruction of the user's program
        *.fifo          where it writes, see `runtimes.output.fifos`; `missing` belongs to them
        successor.json  who carries on since the waiter was killed
        exit.json       the exit status
        etc/            the files for `/etc/ucloud`

A folder appears by renaming a prepared one, so it is never seen half made and two starters cannot both make it. A
folder without `started.json` whose lock is free has run nothing: whoever starts the task next may launch it.
Nothing is flushed to disk: after a power failure no process lives, and a file that was lost then reads as "unknown".
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.errors import NameTaken
from runtimes.native.processes import ProcessId
from runtimes.native.small import EXIT_BYTES
from runtimes.output import fifos
from runtimes.types import ExitResult, TaskId

ABANDONED_AFTER_SECONDS = 600.0
"""Age at which a folder that was never renamed into place, or never fully removed, belongs to a process that died."""


@dataclass(frozen=True, slots=True)
class Started:
    boot: str
    waiter: ProcessId
    launcher: ProcessId
    """Succeeds the waiter, if it lives."""
    workload: ProcessId
    at: float


class TaskFolder:
    """Reads and writes one task's folder. Every method is blocking and short."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self.state_dir = state_dir
        self.name = name
        self.folder = state_dir / name

    def create(self, task: Mapping[str, Any], files: Mapping[str, bytes]) -> bool:
        """Make the folder. False if this incarnation has one already; raises `NameTaken` if another has."""
        fresh = self.state_dir / f".new-{self.name}-{uuid.uuid4().hex}"
        while not self.belongs_to(task["incarnation"]):
            try:
                _fill(fresh, task, files)
            except OSError:
                _remove_tree(fresh)  # what found no room takes some itself
                raise
            try:
                fresh.rename(self.folder)
            except OSError:
                _remove_tree(fresh)
                if not self.folder.exists():
                    raise
            else:
                return True
        return False

    def belongs_to(self, incarnation: str) -> bool:
        """False if there is no such task; raises `NameTaken` if it is another incarnation's."""
        task = self.task()
        if task is None:
            return False
        if task["incarnation"] != incarnation:
            raise NameTaken(f"another attempt at {self.name} is still here: destroy it first")
        return True

    def task(self) -> dict[str, Any] | None:
        """What was asked for; None if there is no such task."""
        task = _read(self.folder / "task.json")
        if not task and self.folder.exists():
            self._discard_lost_folder()
        return task or None

    def _discard_lost_folder(self) -> None:
        """A folder without a readable `task.json` was being destroyed, or lost it in a power failure."""
        with self.locked() as mine:
            if mine and not _read(self.folder / "task.json"):
                self._throw_away()

    def task_of(self, id: TaskId) -> dict[str, Any] | None:
        """As `task`, but None also if the folder belongs to another incarnation."""
        task = self.task()
        return task if task is not None and task["incarnation"] == id.incarnation else None

    def started(self) -> Started | None:
        """Which processes were started; None if none was. Of no boot at all when a power failure took the content."""
        found = _read(self.folder / "started.json")
        if not found:
            nobody = ProcessId(0, 0)
            return None if found is None else Started("", nobody, nobody, nobody, 0.0)
        waiter, launcher, workload = (ProcessId(*found[name]) for name in ("waiter", "launcher", "workload"))
        return Started(found["boot"], waiter, launcher, workload, found["started_at"])

    def successor(self) -> ProcessId | None:
        """Who carried on last after the waiter was killed; None if nobody had to."""
        found = _read(self.folder / "successor.json")
        return ProcessId(*found["waiter"]) if found else None

    def exit(self) -> ExitResult | None:
        """How it ended, as far as the waiter could tell; None if it did not."""
        found = _read(self.folder / "exit.json")
        if not found:
            return None if found is None else ExitResult()
        return ExitResult(found["code"], found["signal"], found["out_of_memory"], found["finished_at"])

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Try to take the waiter's place. False while a waiter lives."""
        try:
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            yield _try_lock(lock)
        finally:
            os.close(lock)

    def is_locked(self) -> bool:
        """Whether a waiter lives, by the lock that it holds."""
        with self.locked() as mine:
            return not mine and self.folder.exists()

    def remove(self) -> bool:
        """Remove the folder unless a waiter is at it; True when it is gone."""
        with self.locked() as mine:
            if mine:
                # A waiter that was forked earlier and comes only now finds no task to run.
                (self.folder / "task.json").unlink(missing_ok=True)
                self._throw_away()
        return not self.folder.exists()

    def _throw_away(self) -> None:
        trash = self.state_dir / f".old-{self.name}-{uuid.uuid4().hex}"
        with suppress(FileNotFoundError):
            self.folder.rename(trash)
            _remove_tree(trash)


def all_tasks(state_dir: Path) -> list[dict[str, Any]]:
    """`task.json` of every task."""
    found = (_read(folder / "task.json") for folder in _folders(state_dir, hidden=False))
    return [task for task in found if task]


def sweep_abandoned(state_dir: Path) -> None:
    """Remove what processes that died left half made or half removed."""
    for folder in _folders(state_dir, hidden=True):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                _remove_tree(folder)


def _folders(state_dir: Path, *, hidden: bool) -> list[Path]:
    try:
        entries = list(os.scandir(state_dir))
    except FileNotFoundError:
        return []
    return [Path(entry.path) for entry in entries if entry.is_dir() and entry.name.startswith(".") == hidden]


def _fill(folder: Path, task: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o711)  # the task may reach etc/, and read nothing else
    _write_private(folder / "task.json", json.dumps(task).encode())
    _write_private(folder / "exit.json.new", b" " * EXIT_BYTES)
    fifos.make(str(folder), task["user"])
    fifos.make_missing(str(folder))
    if files:
        _write_files(folder / "etc", files, task["user"])


def _write_private(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _write_files(folder: Path, files: Mapping[str, bytes], user: tuple[int, int] | None) -> None:
    """Read-only (ENV-8). With a user of its own the task owns none of it, so it cannot change the modes either."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private(path, content)
        _hand_over(path, 0o440, user)
    for path in [*(p for p in folder.rglob("*") if p.is_dir()), folder]:
        _hand_over(path, 0o550, user)


def _hand_over(path: Path, mode: int, user: tuple[int, int] | None) -> None:
    if user is not None:
        os.chown(path, -1, user[1])
    path.chmod(mode)


def _remove_tree(folder: Path) -> None:
    """Only root may empty a folder that is read-only."""
    for inner in folder.glob("etc/**/"):
        with suppress(OSError):
            inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """None: no such file. Empty: its content was lost, which only a power failure can do to files that are renamed."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}
