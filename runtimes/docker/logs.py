"""Copies a container's output from the daemon's log to the task's log files, in a thread per container.

Started by `driver` with every start, recovery and wait. The daemon's log is the durable truth; the copy can be cut off
at any byte and goes on at the next one, in this process or another, because it reads that log from its beginning and
skips what `progress` says is there already. A lock keeps two processes from copying at once: when the one that copies
dies, the kernel hands the lock to the next. See docs/decisions/0001-container-logs.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runtimes.docker import state
from runtimes.docker.frames import Demultiplexer
from runtimes.docker.sink import LogSink
from runtimes.errors import DriverError, RuntimeUnavailable, TaskNotFound
from runtimes.mounts import beneath
from runtimes.types import LogPaths, TaskState

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_LOCK_RETRY_SECONDS = 0.05
_GIVE_UP_SECONDS = 30.0
"""How long after the task's end a disk that takes nothing may hold up its end being told."""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Which container's output goes where."""

    container: str
    paths: LogPaths
    job_folder: Path
    owner: tuple[int, int] | None = None
    job_root: Path | None = None
    """The folder that the job folder may not leave."""


class Pieces(Protocol):
    """Pieces of Docker's multiplexed stream, cut anywhere."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class LogSource(Protocol):
    """The daemon, as far as logs go."""

    def inspect(self, container: str) -> dict[str, Any]: ...
    def log_pieces(self, container: str, *, follow: bool) -> Pieces: ...


class GaveUpError(Exception):
    """The task ended a while ago and its log files still cannot be written; or this copy was closed."""


class LogCopy:
    """The copy of one container's output.

    Args:
        state_folder: where the lock and the progress of this task are kept.
    """

    def __init__(self, source: LogSource, target: LogTarget, state_folder: Path) -> None:
        self._source = source
        self._target = target
        self._state_folder = state_folder
        self._closed = threading.Event()
        self._ended_at: float | None = None
        self._pieces: Pieces | None = None
        self._done: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"docker-logs-{target.container[:12]}", daemon=True)
        self._thread.start()

    async def finished(self) -> None:
        """Return when everything that the container wrote is in the files. Call once the container has ended.

        Raises `errors.RuntimeUnavailable` if the copy is closed first.
        """
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        await asyncio.shield(asyncio.wrap_future(self._done))

    def close(self) -> None:
        """Let go. Another copy can go on from here."""
        self._closed.set()
        if self._pieces is not None:
            self._pieces.close()

    def _run(self) -> None:
        try:
            self._state_folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._copy_all()
        except GaveUpError as error:
            logger.warning("log of container %s is incomplete: %s", self._target.container[:12], error)
        except OSError as error:
            logger.error("log of container %s cannot be copied: %s", self._target.container[:12], error)
        if self._closed.is_set():
            self._done.set_exception(RuntimeUnavailable("The driver was closed while it copied the output."))
        else:
            self._done.set_result(None)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of this task's logs. It goes with the process that held it, however that ends."""
        lock = os.open(self._state_folder / "logs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not self._try_lock(lock):
                self._pause(_LOCK_RETRY_SECONDS)
            yield
        finally:
            os.close(lock)

    def _try_lock(self, lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _copy_all(self) -> None:
        while True:
            try:
                if self._copy_once():
                    return
            except TaskNotFound:
                return
            except (DriverError, OSError) as error:
                self._try_again_later(error)

    def _copy_once(self) -> bool:
        """One reading of the log from its beginning; True when it was whole.

        A log that is followed ends when the container does, but also when the daemon goes away: only a reading that
        began after the end is surely whole.
        """
        status = state.task_status(self._source.inspect(self._target.container))
        ended = status.state is TaskState.ENDED
        sink = self._open_sink()
        try:
            pieces = self._source.log_pieces(self._target.container, follow=not ended)
            self._pieces = pieces
            self._pause(0)
            copy_pieces(pieces, sink)
        finally:
            self._pieces = None
            sink.close()
        self._pause(0)
        return ended

    def _open_sink(self) -> LogSink:
        record = self._state_folder / f"copied-{self._target.container[:12]}"
        target, fail = self._target, self._try_again_later
        try:
            with beneath.held(target.job_root, target.job_folder) as folder:
                return LogSink(target.paths, folder, record, target.owner, fail)
        except OSError:
            # The user took the folder away, or put a link in its place: his output is not shown there.
            return LogSink(target.paths, target.paths.stdout.parent, record, target.owner, fail)

    def _try_again_later(self, error: Exception) -> None:
        """Returns after a pause. Raises `GaveUpError` when it is too late for another try."""
        logger.info("copying the log of %s: %s", self._target.container[:12], error)
        if isinstance(error, OSError) and self._ended_at and time.monotonic() - self._ended_at > _GIVE_UP_SECONDS:
            raise GaveUpError(str(error)) from error
        self._pause(_RETRY_SECONDS)

    def _pause(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise GaveUpError("closed")


def copy_pieces(pieces: Iterable[bytes], sink: LogSink) -> None:
    """Append what the sink does not have yet. Raises `errors.RuntimeUnavailable` if the daemon cannot read its log."""
    seen = [0, 0]
    demultiplexer = Demultiplexer()
    for piece in pieces:
        for stream, output in enumerate(demultiplexer.feed(piece)):
            start = max(0, sink.copied(stream) - seen[stream])
            seen[stream] += len(output)
            if start < len(output):
                sink.append(stream, output[start:])
