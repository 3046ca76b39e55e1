"""What travels between the relay beside a replica and the front end for terminals and ports (D8).

A frame is one byte that says what it is, four bytes of length (big-endian), and the content. After the greeting:

    relay ──▶ front end    OPENED (empty), or REFUSED (a text for users) and close; then DATA, and END before a close
    front end ──▶ relay    DATA as typed, SIZE ([columns, rows] as JSON)

Of a port only the first one: what follows OPENED is the port's own.

Empty DATA means nothing: the relay sends it now and then, for a front end that is gone is only noticed by writing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import NamedTuple

OPENED, REFUSED, DATA, END, SIZE = b"O", b"X", b"D", b"E", b"S"

MOST_BYTES = 64 * 1024
_HEAD = struct.Struct("!cI")


class Frame(NamedTuple):
    kind: bytes
    content: bytes


HEAD_BYTES = _HEAD.size


class Broken(ConnectionError):
    """The other side does not speak like this."""


def encode(kind: bytes, content: bytes = b"") -> bytes:
    return _HEAD.pack(kind, len(content)) + content


def encode_data(data: bytes) -> Iterator[bytes]:
    """In frames of a size that the other side accepts."""
    for begin in range(0, len(data), MOST_BYTES):
        yield encode(DATA, data[begin : begin + MOST_BYTES])


def decode_head(head: bytes) -> tuple[bytes, int]:
    """What the frame is, and how many bytes follow. Raises `Broken`."""
    kind, size = _HEAD.unpack(head)
    if size > MOST_BYTES:
        raise Broken(f"a frame of {size} bytes")
    return kind, size


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the other side has left. Raises `ConnectionError`."""
    try:
        kind, size = decode_head(await reader.readexactly(HEAD_BYTES))
        return Frame(kind, await reader.readexactly(size))
    except asyncio.IncompleteReadError:
        return None
