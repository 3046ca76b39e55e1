"""What `doctor` says of this machine's clock: whether it was ever set, and how far it is from UCloud/Core's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from ucloud_ray.cli.checks import Check

EARLIEST = 1_700_000_000
"""A clock before this (November 2023) was never set: tokens would be refused."""

TOLERANCE_SECONDS = 20.0
"""Tokens of the Core are believed for half a minute after their end, and an answer is on its way for a while."""

ANSWER_SECONDS = 2.0


def clock() -> Iterator[Check]:
    now = time.time()
    if now < EARLIEST:
        yield Check("clock", False, f"it is set to {time.ctime(now)}", "set the clock; tokens are refused otherwise")
    else:
        yield Check("clock", True, time.strftime("%Y-%m-%d %H:%M:%S %z"))


def clock_of_core(url: str) -> Iterator[Check]:
    """Nothing if the Core does not answer, or does not say what time it has."""
    theirs = _time_at(url)
    if theirs is None:
        return
    ahead = time.time() - theirs
    if abs(ahead) > TOLERANCE_SECONDS:
        where = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} UCloud/Core's"
        yield Check("clock", False, where, "set it by a time server; calls of UCloud/Core may be refused otherwise")


def _time_at(url: str) -> float | None:
    import httpx

    try:
        answer = httpx.head(url, timeout=ANSWER_SECONDS)
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
