"""Opens the log files of a task for the pump: each where it is kept, and once more where only its user shall see it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from runtimes import logfiles
from runtimes.mounts import beneath
from runtimes.types import LogPaths


@dataclass(slots=True)
class Opened:
    """File descriptors: the log of each stream, then a second one for each stream in `copies`."""

    files: list[int] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)


def open_logs(
    logs: LogPaths, job_folder: Path, shown_in: Path | None, owner: tuple[int, int] | None, files: ExitStack
) -> Opened:
    """`shown_in`: a path of the job folder that cannot be led elsewhere; None: the logs are shown nowhere.

    Closed by `files`. Raises `OSError` when a log cannot be opened; one that cannot be shown is not.
    """
    both = (logs.stdout, logs.stderr)
    opened = Opened([closed_with(files, logfiles.open_append(log, owner)) for log in both])
    for stream, log in enumerate(both):
        is_there = shown_in is None or log.parent == job_folder
        copy = None if is_there or shown_in is None else logfiles.show(log, shown_in, owner)
        if copy is not None:
            opened.files.append(closed_with(files, copy))
            opened.copies.append(stream)
    return opened


def open_again(
    logs: LogPaths, root: Path | None, job_folder: Path, owner: tuple[int, int] | None, files: ExitStack
) -> Opened:
    """Of a task that runs. Its job folder may be gone by now, or be a link: then there is nothing to show them in."""
    try:
        shown_in = files.enter_context(beneath.held(root, job_folder))
    except OSError:
        shown_in = None
    return open_logs(logs, job_folder, shown_in, owner, files)


def open_folder(path: Path, files: ExitStack) -> int:
    """To be handed on."""
    return closed_with(files, os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def closed_with(files: ExitStack, file: int) -> int:
    files.callback(os.close, file)
    return file
