"""How values become text: for a script in quotes that nothing gets out of, for a variable as they are. Pure."""

from __future__ import annotations

from decimal import Decimal


class Raw(str):
    """Text that is bash already: printed as it stands. Whatever is made from it is an ordinary string again, and
    quoted: half of a quoted text is not a quoted text."""

    __slots__ = ()


def quoted(text: str) -> str:
    """One word for bash, safe for every character except NUL (INV-24)."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def for_bash(value: object) -> str:
    """INV-36: numbers and truths bare, nothing for None, all else as one word."""
    bare = value is None or isinstance(value, Raw | bool | int | float)
    return plain(value) if bare else quoted(plain(value))


def plain(value: object) -> str:
    """The same without quotes (INV-21)."""
    if value is None:
        return ""
    return floating_point(value) if isinstance(value, float) else str(value)


def floating_point(value: float) -> str:
    """As on a command line without templates (2.3): the shortest decimal that reads back, whole numbers without a
    fraction (INV-42)."""
    shortest = repr(value)
    if value != 0 and not 1e-4 <= abs(value) < 1e21:
        return shortest
    digits = format(Decimal(shortest), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
