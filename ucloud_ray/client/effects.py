"""What a call wants done in the outside world, as plain data. No network here.

A call is a generator, a `Plan`: it yields what it wants (`Send`, `Sleep`, `Receive`, ...), is given the outcome, and
returns its result. `blocking` and `awaiting` carry plans out, one by waiting, the other with asyncio; so each call is
written once. Plans that tell something on their way yield `Emit` too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")
Json = Any


@dataclass(frozen=True, slots=True)
class Send:
    """A request. Its outcome is a `Reply`, or `NotReached` or `NoAnswer` is raised where it was yielded."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Slice | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an open file, as the content of a request."""

    file: BinaryIO
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """A `GET` whose body goes to `sink` as it comes. Its outcome is a `Reply`, with content only if it is an error."""

    url: str
    headers: Mapping[str, str]
    begin: Callable[[Reply], None]
    """Called with the head of an answer that is no error, before its body."""
    sink: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Dial:
    """Opens a WebSocket in place of the one that is open. May raise `NotReached`."""

    url: str


@dataclass(frozen=True, slots=True)
class Transmit:
    """A text into the open WebSocket. May raise `Closed`."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receive:
    """The next text of the open WebSocket. May raise `Closed`, or `TimeoutError` after `seconds`; None: never."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """Something for the caller."""

    value: Any


Effect = Send | Fetch | Sleep | Dial | Transmit | Receive
Plan = Generator[Effect, Any, T]
Events = Generator[Effect | Emit, Any, None]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class NotReached(Exception):
    """The request did not get to a server: whatever it was, it was not done."""


class NoAnswer(Exception):
    """The request was sent, at least in part, and no answer came: it may have been done."""


class Closed(Exception):
    """The WebSocket is closed, by whomever."""


class Steps:
    """One plan on its way: what it wants next, and where outcomes go."""

    def __init__(self, plan: Generator[Effect | Emit, Any, Any]) -> None:
        self._plan = plan
        self.result: Any = None
        self.wanted: Effect | Emit | None = None
        """None: the plan has returned."""
        self.done(None)

    def done(self, outcome: object) -> None:
        self._advance(lambda: self._plan.send(outcome))

    def failed(self, error: Exception) -> None:
        self._advance(lambda: self._plan.throw(error))

    def _advance(self, move: Callable[[], Effect | Emit]) -> None:
        try:
            self.wanted = move()
        except StopIteration as returned:
            self.wanted, self.result = None, returned.value
