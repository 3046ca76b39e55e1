"""A folder that is a link to somewhere else every other moment: what a race between a check and a use would lose to."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def swapping(folder: Path, elsewhere: Path) -> Iterator[None]:
    """Another thread exchanges the folder and a link to `elsewhere` as fast as it can; there always is one of them. At
    the end the folder is back."""
    link = folder.with_name("link-elsewhere")
    link.symlink_to(elsewhere)
    over = threading.Event()
    thread = threading.Thread(target=_swap, args=(folder, link, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        link.unlink()


def _swap(folder: Path, link: Path, over: threading.Event) -> None:
    while not over.is_set():
        exchange(folder, link)
        exchange(folder, link)


def exchange(one: Path, other: Path) -> None:
    names = (os.fsencode(one), os.fsencode(other))
    failed = _libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    assert not failed, os.strerror(ctypes.get_errno())
