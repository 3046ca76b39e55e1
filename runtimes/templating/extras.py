"""What UCloud adds to Jinja: filters, tests and functions (INV-37 to INV-39). Used by `language`, in the child."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import TemplateError

from runtimes.templating.quoting import Raw, plain

NOT_PASSABLE = re.compile("[\0\ud800-\udfff]")
"""What neither an argument nor a file for bash can hold (INV-7)."""
_INTERFACE_TYPES = ("WEB", "VNC")


class AuthorError(TemplateError):
    """A template uses something of ours in a wrong way."""


def known(value: object) -> object:
    """None for an unknown name."""
    return None if isinstance(value, Undefined) else value


def safe(value: object) -> Raw:
    return Raw(plain(known(value)))


def escape(write: Callable[[object], str]) -> Callable[[object], Raw]:
    return lambda value: value if isinstance(value, Raw) else Raw(write(known(value)))


def flag(value: object, on: str, off: str = "") -> str | None:
    """INV-37."""
    return (on if value else off) or None


def option(write: Callable[[object], str]) -> Callable[..., Raw | None]:
    def option(value: object, name: str, add_space: bool | None = None) -> Raw | None:
        """INV-38."""
        if known(value) is None:
            return None
        spaced = not name.endswith("=") if add_space is None else add_space
        text = plain(value)
        return Raw(f"{name} {write(text)}" if spaced else write(name + text))

    return option


def matches(value: object, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """INV-39: the whole text; with `multiline` one of its lines."""
    before, after = ("^(?:", ")$") if multiline else (r"\A(?:", r")\Z")
    return _found(pattern, value, ignorecase, multiline, before, after)


def contains(value: object, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """INV-39."""
    return _found(pattern, value, ignorecase, multiline)


def _found(pattern: str, value: object, ignorecase: bool, multiline: bool, before: str = "", after: str = "") -> bool:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        re.compile(pattern, flags)  # by itself, so that it cannot lean on what stands around it
    except re.error as error:
        raise AuthorError(f"{pattern!r} is no regular expression: {error}") from error
    text = plain(known(value))
    return re.search(before + pattern + after, text, flags) is not None


def ternary(condition: object, yes: object, no: object) -> object:
    """INV-39."""
    return yes if condition else no


class Declared:
    """Collects the interfaces of one template (INV-39, IS-30)."""

    def __init__(self) -> None:
        self.targets: list[dict[str, Any]] = []
        self.default_name: str | None = None

    def interface(self, rank: int, type: str, target: str, port: int) -> None:
        """`dynamicInterface`."""
        kind = str(type).upper()
        if kind not in _INTERFACE_TYPES:
            raise AuthorError(f"the type of an interface is {' or '.join(_INTERFACE_TYPES)}, not {type!r}")
        if not (_is_integer(port) and 1 <= port <= 65535):
            raise AuthorError(f"the port of an interface is a number from 1 to 65535, not {port!r}")
        if not (_is_integer(rank) and rank >= 0):
            raise AuthorError(f"the rank of an interface is a number from 0, not {rank!r}")
        self.targets.append({"rank": rank, "type": kind, "target": _passable(target), "port": port})

    def name(self, name: str) -> None:
        """`setInterfaceName`."""
        self.default_name = _passable(name)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _passable(text: object) -> str:
    name = str(text)
    if not name or len(name) > 200 or NOT_PASSABLE.search(name):
        raise AuthorError("the name of an interface has 1 to 200 characters")
    return name
