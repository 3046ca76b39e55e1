"""The binary records of the notification socket (control-api 9): big-endian, a text is its length and UTF-8. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

RETIRED_USAGE = 1
"""Flag of a client: its wallet records end with the retired usage."""
LOCKED, IS_PROJECT = 1, 2
_WALLET, _PROJECT, _CATEGORY, _USER = 1, 2, 3, 4


class BadFrame(ValueError):
    """What a client sent cannot be read."""


@dataclass(frozen=True, slots=True)
class Login:
    since: int
    """Milliseconds since the epoch; 0: everything."""
    flags: int
    token: str


@dataclass(frozen=True, slots=True)
class ReplayUser:
    username: str


def user(reference: int, name: str) -> bytes:
    return struct.pack(">BI", _USER, reference) + _text(name)


def project(reference: int, modified_at: int, json: bytes) -> bytes:
    return struct.pack(">BIqI", _PROJECT, reference, modified_at, len(json)) + json


def category(reference: int, json: bytes) -> bytes:
    return struct.pack(">BII", _CATEGORY, reference, len(json)) + json


def wallet(
    workspace: int, category: int, quota: int, usage: int, flags: int, updated_at: int, *, retired: bool
) -> bytes:
    record = struct.pack(">BIIqqIq", _WALLET, workspace, category, quota, usage, flags, updated_at)
    return record + struct.pack(">Q", 0) if retired else record


def requests(frame: bytes) -> Iterator[Login | ReplayUser]:
    """What a client wants, in order. Raises `BadFrame`."""
    reader = _Reader(frame)
    while not reader.at_end():
        match reader.number(">B"):
            case 0:  # auth
                yield Login(reader.number(">q"), reader.number(">Q"), reader.text())
            case 5:  # replay user
                yield ReplayUser(reader.text())
            case unknown:
                raise BadFrame(f"there is no operation {unknown}")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._data)

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        (found,) = struct.unpack(form, self._take(size))
        return int(found)

    def text(self) -> str:
        try:
            return self._take(self.number(">I")).decode()
        except UnicodeDecodeError as error:
            raise BadFrame("a text is not UTF-8") from error

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise BadFrame("the frame ends in the middle of a record")
        self._at += size
        return taken


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">I", len(encoded)) + encoded
