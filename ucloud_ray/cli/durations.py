"""`1h30m` to a length of time, and milliseconds to text. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

from ucloud_ray.cli.errors import UsageMistake

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_FORMAT = re.compile(r"(?:\d+[dhms])+")


def delta(text: str) -> timedelta:
    return timedelta(milliseconds=millis(text))


def millis(text: str) -> int:
    """In milliseconds. Raises `UsageMistake` for anything that is not positive and has a unit."""
    if not _FORMAT.fullmatch(text):
        raise UsageMistake(f"'{text}' is not a time", "write it like 30s, 45m, 1h30m or 2d")
    seconds = sum(int(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"\d+[dhms]", text))
    if seconds == 0:
        raise UsageMistake("the time must be longer than nothing", "write it like 30s, 45m, 1h30m or 2d")
    return seconds * 1000


def show(milliseconds: int) -> str:
    """`3d 4h`, `1h 5m`, `12s`: the two largest units that count."""
    seconds = max(0, milliseconds) // 1000
    parts = []
    for unit, size in _UNITS.items():
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or "0s"
