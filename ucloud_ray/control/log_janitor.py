"""Keeps private logs that no user sees any more from filling the disk (LOG-16).

Runs in the node agent. A private log is a second name of the file in the job folder. When the user deletes his, or the
two are on different file systems, only ours is left; what it takes above the limit is given back, oldest first. The
rest, and every offset into it, stays readable.

A job's folder is looked at the more often the more recently something was written there: every few seconds while it
writes, every hour when it has been quiet for half a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from runtimes import logfiles

log = structlog.get_logger(__name__)

ROUND_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
QUIET_PART = 10
"""A folder that was quiet for so many seconds is looked at again after a tenth of them."""

MOST_FOLDERS = 2000
"""Of one round; the others wait for the next one."""


class LogJanitor:
    """`now`: seconds since the epoch."""

    def __init__(self, logs_dir: Path, most_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._logs_dir = logs_dir
        self._most_bytes = most_bytes
        self._now = now
        self._known: set[str] = set()
        self._due: list[tuple[float, str]] = []

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            try:
                await asyncio.to_thread(self.round)
            except OSError as problem:
                log.warning("private logs cannot be looked at", problem=str(problem))
            await asyncio.sleep(ROUND_SECONDS)

    def round(self) -> None:
        """Look at every folder whose turn it is. Blocking; raises `OSError`."""
        self._discover()
        for _ in range(MOST_FOLDERS):
            if not self._due or self._due[0][0] > self._now():
                return
            _, name = heapq.heappop(self._due)
            written_at = self._look(self._logs_dir / name)
            if written_at is None:
                self._known.discard(name)
            else:
                heapq.heappush(self._due, (self._now() + self._pause(written_at), name))

    def _discover(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # no job has run here yet
            for name in set(os.listdir(self._logs_dir)) - self._known:
                self._known.add(name)
                heapq.heappush(self._due, (0.0, name))

    def _pause(self, written_at: float) -> float:
        return min(max(ROUND_SECONDS, (self._now() - written_at) / QUIET_PART), LONGEST_SECONDS)

    def _look(self, folder: Path) -> float | None:
        """When something was written there last; None if the folder is gone."""
        try:
            with os.scandir(folder) as entries:
                return max(
                    (self._bound(entry) for entry in entries if entry.name.endswith(".log")), default=self._now()
                )
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _bound(self, entry: os.DirEntry[str]) -> float:
        with contextlib.suppress(OSError):  # it goes at this very moment, or the file system refuses
            status = entry.stat(follow_symlinks=False)
            if status.st_nlink == 1 and status.st_blocks * 512 > self._most_bytes:
                freed = logfiles.bound(Path(entry.path), self._most_bytes)
                log.info("a private log was shortened", log=entry.path, freed=freed)
            return status.st_mtime
        return 0.0
