"""What documents become: the JSON of the catalogue, with the places that later mistakes are told at. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ucloud_ray.appfile.mistakes import Mistake, Place
from ucloud_ray.wire.common import NameAndVersion


@dataclass(frozen=True, slots=True)
class ToolDocument:
    key: NameAndVersion
    place: Place
    """Of its version: what to change when there is one like it already."""
    description: dict[str, Any]
    """`tool.description` of the catalogue."""
    kind: str = "tool"


@dataclass(frozen=True, slots=True)
class ApplicationDocument:
    key: NameAndVersion
    place: Place
    tool: NameAndVersion
    tool_place: Place
    metadata: dict[str, Any]
    invocation: dict[str, Any]
    """Without `tool`, which the catalogue resolves."""
    tags: list[str] = field(default_factory=list)
    kind: str = "application"


Document = ToolDocument | ApplicationDocument


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole file. With a mistake in it no document of it is to be used."""

    documents: list[Document]
    """Tools before the applications that may need them."""
    mistakes: list[Mistake]
