"""Scripted tasks on disk: one JSON file per task, and one per task that counts the faults that struck.

Shared by every process with the same `state_dir`. A task file appears whole, by linking a prepared one, so that of two
starters one makes it. Every change is made under one lock.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtimes.scripted.script import Script, Signals, parse
from runtimes.types import TaskId


@dataclass(frozen=True, slots=True)
class StoredTask:
    name: str
    incarnation: str
    labels: dict[str, str]
    argv: list[str]
    stdout: str
    stderr: str
    started_at: float
    term_at: float | None = None
    kill_at: float | None = None
    version: int = field(default=1)

    @property
    def script(self) -> Script:
        return parse(self.argv)

    @property
    def signals(self) -> Signals:
        return Signals(self.term_at, self.kill_at)


class TaskFiles:
    """Every method is blocking and short."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir

    @property
    def switched_off(self) -> bool:
        """Whether somebody made a file `down` here: then the runtime does not answer."""
        return (self._folder / "down").exists()

    def create(self, task: StoredTask) -> bool:
        """False if a task of this name exists."""
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = self._folder / f".{uuid.uuid4().hex}"
        fresh.write_text(json.dumps(dataclasses.asdict(task)))
        try:
            os.link(fresh, self._task(task.name))
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
        return True

    def get(self, name: str) -> StoredTask | None:
        content = _read(self._task(name))
        return None if content is None else StoredTask(**content)

    def find(self, id: TaskId) -> StoredTask | None:
        """None also if the name belongs to another incarnation."""
        task = self.get(id.name)
        return task if task is not None and task.incarnation == id.incarnation else None

    def all(self) -> list[StoredTask]:
        found = (self.get(path.name.removesuffix(".task.json")) for path in sorted(self._folder.glob("*.task.json")))
        return [task for task in found if task is not None]

    def mark(self, id: TaskId, what: str, at: float) -> bool:
        """Note the time of a signal, `term_at` or `kill_at`. True for whoever is the first to do so."""
        with self._locked():
            task = self.find(id)
            if task is None or getattr(task, what) is not None:
                return False
            _write(self._task(id.name), {**dataclasses.asdict(task), what: at})
            return True

    def strike(self, id: TaskId, fault: str, times: int) -> bool:
        """Whether this fault happens now: the first `times` calls are told yes."""
        if times <= 0:
            return False
        with self._locked():
            struck = _read(self._faults(id)) or {}
            if struck.get(fault, 0) >= times:
                return False
            _write(self._faults(id), {**struck, fault: struck.get(fault, 0) + 1})
            return True

    def remove(self, id: TaskId) -> None:
        with self._locked():
            if self.find(id) is not None:
                self._task(id.name).unlink()
            self._faults(id).unlink(missing_ok=True)

    def _task(self, name: str) -> Path:
        return self._folder / f"{name}.task.json"

    def _faults(self, id: TaskId) -> Path:
        return self._folder / f"{id.name}.{id.incarnation}.faults.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _write(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    fresh.write_text(json.dumps(value))
    fresh.replace(path)
