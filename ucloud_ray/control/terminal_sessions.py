"""Which shell sessions were promised and not used yet (IS-3, IS-12). In the supervisor's memory only.

A session's id is its only credential: 256 bits of randomness, spent by the first connection that shows it, void after
ten minutes. A restart forgets them, and the page asks for another one. Ids are kept as digests: the time that a look
takes tells nothing about them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from ucloud_ray.domain.ids import JobUid

UNUSED_SECONDS = 600.0
MOST_PER_JOB = 64
"""A page that cannot connect asks for a new one twice a second (W3): the oldest is dropped then."""


class Promised(NamedTuple):
    uid: JobUid
    incarnation: int
    rank: int
    until: float
    """By the clock of this object."""


class TerminalSessions:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._promised: OrderedDict[bytes, Promised] = OrderedDict()
        """By digest, in the order of their ends."""
        self._of_job: dict[JobUid, OrderedDict[bytes, None]] = {}

    def promise(self, uid: JobUid, incarnation: int, rank: int) -> str:
        """A new id: URL-safe (W10)."""
        self._drop_old()
        session = secrets.token_urlsafe(32)
        digest = _digest(session)
        self._promised[digest] = Promised(uid, incarnation, rank, self._now() + UNUSED_SECONDS)
        mine = self._of_job.setdefault(uid, OrderedDict())
        mine[digest] = None
        if len(mine) > MOST_PER_JOB:
            self._take(next(iter(mine)))
        return session

    def spend(self, session: str) -> Promised | None:
        """What it is for, once; None for one that is unknown, spent or too old."""
        self._drop_old()
        return self._take(_digest(session))

    def _take(self, digest: bytes) -> Promised | None:
        promised = self._promised.pop(digest, None)
        if promised is not None:
            mine = self._of_job[promised.uid]
            del mine[digest]
            if not mine:
                del self._of_job[promised.uid]
        return promised

    def _drop_old(self) -> None:
        now = self._now()
        while self._promised:
            digest, oldest = next(iter(self._promised.items()))
            if oldest.until > now:
                return
            self._take(digest)


def _digest(session: str) -> bytes:
    return hashlib.sha256(session.encode(errors="replace")).digest()
