"""What a scripted task is told to do, and what follows from it. Pure; docs/scripted-driver.md explains the words.

A scripted task is no process. It is a start time and, perhaps, the times of the signals that it got; all else is
computed from these and the clock, which is why any process sees the same task.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtimes.errors import InvalidTask
from runtimes.types import ExitResult

PROGRAM = "scripted"
FOREVER = float("inf")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Script:
    """The words of one task, read. Durations are in seconds."""

    run: float = 0.0
    exit: int = 0
    signal: int | None = None
    oom: bool = False
    lose_exit: bool = False
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    ignore_term: bool = False
    term_takes: float = 0.0
    goodbye: str | None = None
    vanish: float = FOREVER
    faults: Mapping[str, int] = field(default_factory=dict)
    """Name of a fault to how often it strikes."""
    stall_start: float = 0.0


@dataclass(frozen=True, slots=True)
class Signals:
    """When the task got them, seconds since the epoch."""

    term_at: float | None = None
    kill_at: float | None = None


def parse(argv: Sequence[str]) -> Script:
    """Raises `errors.InvalidTask` for a word that does not exist. A program other than `scripted` is not found: 127."""
    if not argv:
        raise InvalidTask(f"a scripted task needs the program {PROGRAM!r} and its words")
    if argv[0] != PROGRAM:
        return Script(exit=127, stderr=(f"{argv[0]}: not found",))
    fields: dict[str, Any] = {}
    for word in argv[1:]:
        _read_word(word, fields)
    return Script(**fields)


def end(script: Script, started_at: float, signals: Signals) -> tuple[float, ExitResult] | None:
    """When and how the task ends if nothing else happens to it; None: never. The earliest cause wins."""
    causes = [(started_at + script.run, _natural_exit(script))]
    if signals.term_at is not None and not script.ignore_term:
        causes.append((signals.term_at + script.term_takes, _exit_on_term(script)))
    if signals.kill_at is not None:
        causes.append((signals.kill_at, {"signal": int(signal.SIGKILL)}))
    at, how = min(causes, key=lambda cause: cause[0])
    if at == FOREVER:
        return None
    return at, ExitResult() if script.lose_exit else ExitResult(**how, finished_at=at)


def _natural_exit(script: Script) -> dict[str, Any]:
    if script.oom:
        return {"signal": int(signal.SIGKILL), "out_of_memory": True}
    return {"code": script.exit} if script.signal is None else {"signal": script.signal}


def _exit_on_term(script: Script) -> dict[str, Any]:
    return {"signal": int(signal.SIGTERM)} if script.goodbye is None else {"code": script.exit}


def _read_word(word: str, fields: dict[str, Any]) -> None:
    name, separator, value = _split(word)
    if name in _FAULTS and separator != "=":
        fields.setdefault("faults", {})[name] = _count(word, value) if separator else _FAULTS[name]
    elif name in _FLAGS and not separator:
        fields.update(_FLAGS[name])
    elif name in _VALUES and separator == "=":
        key, read = _VALUES[name]
        fields[key] = read(word, value)
    elif name in _LINES and separator == "=":
        fields[name] = (*fields.get(name, ()), value)
    else:
        raise InvalidTask(f"a scripted task does not know the word {word!r}: see docs/scripted-driver.md")


def _split(word: str) -> tuple[str, str, str]:
    """`name`, `name=value` or `name:count`."""
    at = next((i for i, character in enumerate(word) if character in "=:"), len(word))
    return word[:at], word[at : at + 1], word[at + 1 :]


def _count(word: str, value: str) -> int:
    if not value.isdigit():
        raise InvalidTask(f"{word!r} needs a number after the colon")
    return int(value)


def _integer(word: str, value: str) -> int:
    if not value.isdigit():
        raise InvalidTask(f"{word!r} needs a whole number")
    return int(value)


def _duration(word: str, value: str) -> float:
    if value == "forever":
        return FOREVER
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", value)
    if match is None:
        raise InvalidTask(f"{word!r} needs a duration such as 250ms, 2s, 3m or forever")
    return float(match[1]) * _UNITS[match[2]]


def _text(word: str, value: str) -> str:
    return value


ALWAYS = 2**31
_FAULTS = {
    "image-missing": ALWAYS,
    "image-unavailable": ALWAYS,
    "fail-start": ALWAYS,
    "fail-start-retryable": ALWAYS,
    "lose-reply": 1,
    "runtime-down": ALWAYS,
}
"""Each with how often it strikes when no number is given."""
_FLAGS: Mapping[str, Mapping[str, Any]] = {
    "oom": {"oom": True},
    "lose-exit": {"lose_exit": True},
    "ignore-term": {"ignore_term": True},
    "vanish": {"vanish": 0.0},
    "stall-start": {"stall_start": FOREVER},
}
_VALUES: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "run": ("run", _duration),
    "exit": ("exit", _integer),
    "signal": ("signal", _integer),
    "term-takes": ("term_takes", _duration),
    "goodbye": ("goodbye", _text),
    "vanish": ("vanish", _duration),
    "stall-start": ("stall_start", _duration),
}
_LINES = ("stdout", "stderr")
