"""Which bytes of a file a download is about (RFC 9110, 13 and 14). Pure.

One range; several at once, and what is no range of bytes, are answered with the whole file, as the RFC lets us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ONE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", re.ASCII | re.IGNORECASE)


class OutOfRange(ValueError):
    """416: the file ends before."""


@dataclass(frozen=True, slots=True)
class Slice:
    start: int
    length: int
    partial: bool
    """206 and not 200."""


def asked_for(headers: Mapping[str, str], size: int, etag: str) -> Slice:
    """Raises `OutOfRange`. `headers`: names in small letters."""
    everything = Slice(0, size, False)
    if_range = headers.get("if-range")
    found = _ONE.fullmatch(headers.get("range", "").strip())
    if found is None or found[0] is None or (if_range is not None and if_range.strip() != etag):
        return everything
    first, last = found[1], found[2]
    if not first and not last:
        return everything
    return _slice(first, last, size) or everything


def _slice(first: str, last: str, size: int) -> Slice | None:
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None  # no range at all
    if start >= size or start >= end:
        raise OutOfRange
    return Slice(start, end - start, True)
