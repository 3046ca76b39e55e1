"""Reads the frames of the Core's notification socket (control-api 9): big-endian records, one after another. Pure.

A workspace or category is announced under a number before a wallet uses it. Users and projects are counted apart (O20);
a flag of the wallet tells which. Numbers live as long as their connection: one reader each.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ucloud_ray.domain.job import Owner

_WALLET, _PROJECT, _CATEGORY, _USER = 1, 2, 3, 4
_LOCKED, _IS_PROJECT = 1, 2


class BadNotice(ValueError):
    """The frame cannot be read; what was announced on this connection is in doubt."""


@dataclass(frozen=True, slots=True)
class WalletNotice:
    owner: Owner
    """With a project, nobody is named as creator."""
    category: str
    provider: str
    locked: bool
    updated_at: int
    """Milliseconds since the epoch."""


def login(token: str, since: int) -> bytes:
    """The first frame of a client. `since`: milliseconds since the epoch, 0: tell everything."""
    text = token.encode()
    return struct.pack(">BqQI", 0, since, 0, len(text)) + text


class NoticeReader:
    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._projects: dict[int, str] = {}
        self._categories: dict[int, tuple[str, str]] = {}

    def wallets(self, frame: bytes) -> list[WalletNotice]:
        """The wallets in it, in order. Raises `BadNotice`."""
        try:
            return list(self._wallets(_Bytes(frame)))
        except (struct.error, KeyError, TypeError, ValueError) as problem:
            raise BadNotice(f"a notice of UCloud/Core cannot be read: {problem!r}") from None

    def _wallets(self, frame: _Bytes) -> Iterator[WalletNotice]:
        while frame.left:
            match frame.take(">B")[0]:
                case 4:
                    number = frame.take(">I")[0]
                    self._users[number] = frame.text()
                case 2:
                    number, _ = frame.take(">Iq")
                    self._projects[number] = str(json.loads(frame.text())["id"])
                case 3:
                    number = frame.take(">I")[0]
                    self._categories[number] = _category(json.loads(frame.text()))
                case 1:
                    yield self._wallet(*frame.take(">IIqqIq"))
                case unknown:
                    raise ValueError(f"there is no record {unknown}")

    def _wallet(self, workspace: int, category: int, quota: int, usage: int, flags: int, updated: int) -> WalletNotice:
        project = bool(flags & _IS_PROJECT)
        owner = Owner("", self._projects[workspace]) if project else Owner(self._users[workspace])
        name, provider = self._categories[category]
        return WalletNotice(owner, name, provider, bool(flags & _LOCKED), updated)


def _category(document: dict[str, Any]) -> tuple[str, str]:
    return str(document["name"]), str(document["provider"])


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, form: str) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return found

    def text(self) -> str:
        (length,) = self.take(">I")
        if length > self.left:
            raise ValueError("a text is cut")
        self._at += length
        return self._content[self._at - length : self._at].decode()
