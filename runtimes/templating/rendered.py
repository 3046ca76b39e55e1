"""What comes back from a template, as plain data that survives pickling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """An interface that a template declared (IS-30)."""

    rank: int
    type: str
    """`WEB` or `VNC`."""
    target: str
    """Its name."""
    port: int


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Everything that the template of one rank declared; all ranks of a job usually declare the same."""

    targets: tuple[Target, ...] = ()
    default_name: str | None = None
    """The name of the application's own interface; None leaves it as it is."""


@dataclass(frozen=True, slots=True)
class Rendered:
    body: str | None
    """Text of a bash script without its first line; None if there was no such template."""
    variables: Mapping[str, str] = field(default_factory=dict)
    interfaces: Interfaces = Interfaces()


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """How much a template may use."""

    wall_seconds: float = 15.0
    cpu_seconds: int = 3
    """Whole seconds, the start of the renderer included (about a tenth of one)."""
    memory_bytes: int = 256 * 1024 * 1024
    """Address space of the renderer; it needs about 40 MB for itself."""
    text_characters: int = 1024 * 1024
    """Of the script and of every variable."""


class TemplateFailed(Exception):
    """The template is wrong or wants too much. `why` is for its author."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
