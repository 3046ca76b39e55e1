"""What the operating system refuses, told as errors of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.errors import RuntimeUnavailable


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """A full disk, a folder that is not ours, too many open files: all may be over later, and prove nothing (D4)."""
    try:
        yield
    except OSError as error:
        what = f" ({error.filename})" if error.filename else ""
        raise RuntimeUnavailable(f"{doing}: {error.strerror or error}{what}") from error
