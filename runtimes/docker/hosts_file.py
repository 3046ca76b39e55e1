"""The hosts file of a container, which a running one holds on to: it can be changed, and never replaced by another.

Called by `attachment`. Programs read it at any moment, and a write is not atomic for readers. Two things are: a byte,
and the growing of a file by what was written behind its end. So new lines are added first, each with one call, and
then old ones are turned into comments by their first byte, and back:

    10.83.1.2 me          10.83.1.2 me          10.83.1.2 me
    10.83.1.5 peer   ──▶  10.83.1.5 peer   ──▶  #0.83.1.5 peer
                          10.83.2.7 peer        10.83.2.7 peer

Whoever reads meanwhile sees whole lines only, and no moment at which a name that stays is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtimes.errors import InvalidTask
from runtimes.network import names

_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252})")
_PAGE = 4096
"""A file may grow by a page at a time, so no line crosses the end of one."""


def write(file: Path, address: str, hostname: str, others: Mapping[str, str]) -> None:
    """A new one. Raises `errors.InvalidTask`, `OSError`."""
    file.write_bytes(b"".join(_lines(address, hostname, others)))
    file.chmod(0o644)


def change(file: Path, address: str, hostname: str, others: Mapping[str, str]) -> None:
    """Raises `errors.InvalidTask`, `OSError`."""
    wanted = _lines(address, hostname, others)
    descriptor = os.open(file, os.O_RDWR)
    try:
        _edit(descriptor, wanted)
    finally:
        os.close(descriptor)


def _lines(address: str, hostname: str, others: Mapping[str, str]) -> list[bytes]:
    """One a name, our own first. Raises `errors.InvalidTask` for what would be more than a name or an address."""
    lines = ["127.0.0.1\tlocalhost\n", f"{names.address(address)}\t{_checked(hostname)}\n"]
    lines += [f"{names.address(place)}\t{_checked(name)}\n" for name, place in others.items()]
    return [line.encode() for line in lines]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidTask(f"{name!r} cannot be the name of a host.")
    return name


def _edit(descriptor: int, wanted: list[bytes]) -> None:
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    there = list(_places(content))
    end = len(content)
    for line in wanted:
        found = next((place for place in there if _can_be(place[1], line)), None)
        if found is None:
            end += os.pwrite(descriptor, _room(end, line) + line, end)
        else:
            there.remove(found)
            os.pwrite(descriptor, line[:1], found[0])
    for offset, _ in there:
        os.pwrite(descriptor, b"#", offset)


def _places(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each line begins."""
    offset = 0
    for line in content.splitlines(keepends=True):
        if line.strip():
            yield offset, line
        offset += len(line)


def _can_be(there: bytes, wanted: bytes) -> bool:
    return there[1:] == wanted[1:] and there[:1] in (b"#", wanted[:1])


def _room(end: int, line: bytes) -> bytes:
    """Empty lines up to the next page, if this one has no room for the line."""
    left = _PAGE - end % _PAGE
    return b"\n" * left if len(line) > left else b""
