"""What a launch is about: the open files of one task. The launcher keeps them as long as the task lives.

So a waiter's successor needs no name that a user could have changed meanwhile, and what is in the pipes stays there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from runtimes.output import fifos

STATE, STDOUT, STDERR, JOB_FOLDER = range(4)


class Order:
    """From the files of a request: state folder, log of stdout, log of stderr, the job folder if a process is to be
    started, and a second log for each stream in `copies`."""

    def __init__(self, files: Sequence[int]) -> None:
        self._files = files
        self._all = set(files)
        self.state = files[STATE]
        self.logs = files[STDOUT:JOB_FOLDER]
        self.job_folder: int | None = None
        """The launcher does not keep it: the folder may be deleted, its drive unmounted."""
        self.copies: dict[int, int] = {}
        self.readers: list[int] = []
        self.end: int | None = None
        """Beside a container only: can be read when it has ended."""

    def read(self, do: str, copies: Sequence[int]) -> None:
        """Open the pipes. Raises `OSError` for a state folder without them."""
        self.job_folder = self._files[JOB_FOLDER] if do == "run" else None
        self.copies = dict(zip(copies, self._files[JOB_FOLDER + (do == "run") :], strict=True))
        self.readers = self._open_inner() if do == "beside" else fifos.open_readers(self.state)
        self._all.update(self.readers)
        if do == "beside":
            self.end = fifos.open_end(self.state)
            self._all.add(self.end)

    def _open_inner(self) -> list[int]:
        """The pipes of a container are in a folder that it sees, and nothing else is."""
        inner = os.open(fifos.INNER, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.state)
        try:
            return fifos.open_readers(inner)
        finally:
            os.close(inner)

    def keep_only(self, *others: int) -> None:
        """In a process forked for this task: nothing open that others wait to see closed."""
        kept = sorted({0, 1, 2, *self._all, *others})
        for file, following in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
            if following > file + 1:
                os.closerange(file + 1, following)

    def close_job_folder(self) -> None:
        if self.job_folder is not None:
            self._all.discard(self.job_folder)
            os.close(self.job_folder)
            self.job_folder = None

    def close(self) -> None:
        for file in self._all:
            os.close(file)
