"""The two log files of a task, written by the one process that holds their lock.

Called by `logs`, in its thread. A full disk or quota must not stop the job (LOG-17): an append that fails is tried
again until `on_failure` raises; the container never notices, because the daemon keeps the output meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from runtimes import logfiles
from runtimes.docker.progress import Progress
from runtimes.types import LogPaths


class LogSink:
    """Appends to `paths`, shows the files in the job folder, and remembers in `record` how far it got.

    Args:
        owner: uid and gid of the job, who owns the files (LOG-15); None leaves them to us.
        on_failure: told of each failed append; returns after a pause to try again, or raises to give up.

    Raises `OSError` when the files cannot be opened.
    """

    def __init__(
        self,
        paths: LogPaths,
        job_folder: Path,
        record: Path,
        owner: tuple[int, int] | None,
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._on_failure = on_failure
        with contextlib.ExitStack() as opened:
            self._files = tuple(_open(opened, path, owner) for path in (paths.stdout, paths.stderr))
            self._copies = tuple(_show(opened, path, job_folder, owner) for path in (paths.stdout, paths.stderr))
            self._progress = Progress.open(record, (_size(self._files[0]), _size(self._files[1])))
            opened.callback(self._progress.close)
            self._opened = opened.pop_all()

    def copied(self, stream: int) -> int:
        """Bytes of this stream (0 stdout, 1 stderr) that are in its file, of the output of this container."""
        return self._progress.copied[stream]

    def append(self, stream: int, output: bytes) -> None:
        while output:
            try:
                written = os.write(self._files[stream], output)
            except OSError as error:
                self._on_failure(error)
                continue
            self._progress.appended(stream, written, _size(self._files[stream]))
            self._append_copy(stream, output[:written])
            output = output[written:]

    def close(self) -> None:
        self._opened.close()

    def _append_copy(self, stream: int, output: bytes) -> None:
        copy = self._copies[stream]
        if copy is not None:
            with contextlib.suppress(OSError):
                os.write(copy, output)


def _open(opened: contextlib.ExitStack, path: Path, owner: tuple[int, int] | None) -> int:
    file = logfiles.open_append(path, owner)
    opened.callback(os.close, file)
    return file


def _show(opened: contextlib.ExitStack, path: Path, job_folder: Path, owner: tuple[int, int] | None) -> int | None:
    """A second file is a courtesy: what cannot be written to it is dropped."""
    copy = logfiles.show(path, job_folder, owner)
    if copy is not None:
        opened.callback(os.close, copy)
    return copy


def _size(file: int) -> int:
    return os.fstat(file).st_size
