"""What a job's ranks use, in words. Pure; called by `jobs show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def pairs(ranks: Sequence[Mapping[str, Any]]) -> list[tuple[str, object]]:
    """One `name, value` per rank, counted from 0 as everywhere on the command line."""
    return [(f"node {entry['rank']} uses", _words(entry)) for entry in ranks]


def _words(entry: Mapping[str, Any]) -> str:
    words = []
    if entry.get("cores") is not None:
        words.append(f"{entry['cores']:.2f} cores")
    words.append(f"{size(entry['memory'])} memory")
    count = entry["processes"]
    words.append(f"{count} process" + ("es" if count != 1 else ""))
    words += _flow(entry, "network", ("Received", "in"), ("Sent", "out"))
    words += _flow(entry, "disk", ("Read", "read"), ("Written", "written"))
    return ", ".join(words)


def _flow(entry: Mapping[str, Any], what: str, *directions: tuple[str, str]) -> list[str]:
    """Nothing where it is not counted."""
    told = [(entry.get(f"{what}{name}PerSecond"), word) for name, word in directions]
    known = [f"{size(rate)}/s {word}" for rate, word in told if rate is not None]
    return [f"{what} {' and '.join(known)}"] if known else []


def size(number: float) -> str:
    """Decimal, as machine types are sold."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
