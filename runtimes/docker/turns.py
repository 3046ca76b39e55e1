"""Whose turn it is to fetch an image, among all processes of this machine (ENV-54).

Called by `fetch`. Replica actors are processes of their own, and a process that is killed must not leave anything
locked: so the turn is a lock on an open file, which the kernel lets go of with its process. The file carries what the
one whose turn it is has to tell the others: how far it is, and at the end why it failed. The last one removes it, and
whoever holds a removed file learns so from its link count and begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes.errors import ImageUnavailable
from runtimes.types import Progress

_MOST_BYTES = 4096


class Turn:
    """One process's way to the turn. Opened when it begins to want it, closed when it has it no more, or gave it up.

    All calls are a few operations on a small local file.
    """

    def __init__(self, folder: Path, what: str) -> None:
        """`what` names the thing to be fetched and the daemon that shall have it."""
        name = f".pull-{hashlib.sha256(what.encode()).hexdigest()[:24]}"
        self._file, self._wanting_file = folder / name, folder / f"{name}.wanted"
        self._handle = self._wanting = -1
        self._mine = False

    def open(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle, self._wanting = _open(self._file), _open(self._wanting_file)
        fcntl.flock(self._wanting, fcntl.LOCK_SH)

    def take(self) -> bool:
        """Whether it is ours now; asked again until then. Raises `errors.ImageUnavailable` with the reason of the one
        before us, if that one has failed while we waited."""
        if not _locked(self._handle, fcntl.LOCK_EX):
            return False
        told = self._read()
        if "failed" in told:
            raise ImageUnavailable(str(told["failed"]), retryable=bool(told["retryable"]))
        if os.fstat(self._handle).st_nlink == 0:
            self._close()
            self.open()
            return False
        self._mine = True
        return True

    def wanted_by_others(self) -> bool:
        """Whether another process waits for it; to be asked by the one whose turn it is."""
        probe = _open(self._wanting_file)
        try:
            fcntl.flock(self._wanting, fcntl.LOCK_UN)
            return not _locked(probe, fcntl.LOCK_EX)
        finally:
            os.close(probe)
            fcntl.flock(self._wanting, fcntl.LOCK_SH)

    def tell(self, progress: Progress) -> None:
        self._write({"doing": progress.doing, "detail": progress.detail})

    def told(self) -> Progress | None:
        """What the one whose turn it is told last; None also before `open` and after `close`."""
        told = self._read() if self._handle >= 0 else {}
        return Progress(str(told["doing"]), str(told.get("detail", ""))) if "doing" in told else None

    def fail(self, error: ImageUnavailable) -> None:
        """Let those who wait fail with us. Those who come later begin with a file of their own."""
        self._remove()
        self._write({"failed": error.message, "retryable": error.retryable})

    def close(self) -> None:
        """May be called twice."""
        if self._handle >= 0:
            # One who gives up before its turn may be the last one, too.
            if self._mine or (_locked(self._handle, fcntl.LOCK_EX) and os.fstat(self._handle).st_nlink):
                self._remove()
            self._close()

    def _remove(self) -> None:
        self._file.unlink(missing_ok=True)
        self._wanting_file.unlink(missing_ok=True)
        self._mine = False

    def _close(self) -> None:
        for handle in (self._handle, self._wanting):
            os.close(handle)
        self._handle = self._wanting = -1

    def _write(self, content: dict[str, Any]) -> None:
        # Padded, so that a shorter text leaves nothing of a longer one behind; what is read half is no JSON.
        os.pwrite(self._handle, json.dumps(content).encode()[:_MOST_BYTES].ljust(_MOST_BYTES), 0)

    def _read(self) -> dict[str, Any]:
        with suppress(ValueError):
            content = json.loads(os.pread(self._handle, _MOST_BYTES, 0))
            if isinstance(content, dict):
                return content
        return {}


def daemon_name(base_url: str | None, proc: Path = Path("/proc")) -> str:
    """Tells daemons apart that share a folder of ours: those of other machines, and several of one."""
    return f"{(proc / 'sys/kernel/random/boot_id').read_text().strip()} {base_url}"


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
