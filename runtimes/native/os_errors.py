"""What the operating system refuses, told as errors of the contract."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.errors import RuntimeUnavailable, StartFailed


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """A full disk, a folder that is not ours, too many open files: all may be over later, and prove nothing (D4)."""
    try:
        yield
    except OSError as error:
        what = f" ({error.filename})" if error.filename else ""
        raise RuntimeUnavailable(f"{doing}: {error.strerror or error}{what}") from error


@contextmanager
def needing_room() -> Iterator[None]:
    """What is started here writes before it launches anything: without room nothing runs, and another machine, or this
    one later, may do better (SCH-11)."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StartFailed("The disk of the machine is full.", retryable=True) from error
