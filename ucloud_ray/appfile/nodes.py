"""YAML text as trees of values that know where they stand. Called by `reading`.

Made from the parser's events and not by its composer: a file with a mistake in it still gives everything around that,
aliases (a few of which unfold to gigabytes) never come to life, and depth is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ucloud_ray.appfile.mistakes import Mistakes, Place

_MOST_CHARACTERS = 1_000_000
_MOST_DEPTH = 20
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null"))
_CONSTRUCTED = frozenset({"int", "float", "bool", "null"})


@dataclass(slots=True)
class Node:
    """One value. Exactly one of `pairs`, `items` and `scalar` says what it is."""

    place: Place
    pairs: dict[str, tuple[Place, Node]] | None = None
    """Key to its own place and its value."""
    items: list[Node] | None = None
    scalar: str | int | float | bool | None = None
    raw: str = ""
    """A scalar as it was written: a version 1.10 is not the number 1.1."""
    literal: bool = False
    """Written as a block of lines, which begins in the line after `place`."""
    _key: tuple[str, Place] | None = field(default=None, repr=False)
    """While it is being read: the key whose value comes next."""

    @property
    def kind(self) -> str:
        if self.pairs is not None:
            return "a map"
        if self.items is not None:
            return "a list"
        names = {str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}
        return names[type(self.scalar)]

    @property
    def empty(self) -> bool:
        return self.pairs is None and self.items is None and self.scalar is None

    def plain(self) -> Any:
        """As JSON."""
        if self.pairs is not None:
            return {key: node.plain() for key, (_, node) in self.pairs.items()}
        return [item.plain() for item in self.items] if self.items is not None else self.scalar


def documents(text: str, mistakes: Mistakes) -> list[Node]:
    """The documents of a file up to where it stops being YAML; empty ones are left out."""
    if len(text) > _MOST_CHARACTERS:
        mistakes.add(Place(1, 1), f"the file is longer than {_MOST_CHARACTERS} characters", "split it")
        return []
    reader = _Reader(mistakes)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if not reader.take(event):
                break
    except yaml.MarkedYAMLError as error:
        _not_yaml(error, mistakes)
    except yaml.reader.ReaderError as error:
        place = _place_in(text, error.position)
        mistakes.add(place, f"the character #x{error.character:04x} cannot stand in YAML", "remove it")
    return [document for document in reader.documents if not document.empty]


def _not_yaml(error: yaml.MarkedYAMLError, mistakes: Mistakes) -> None:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    tab = "'\\t'" in problem
    remedy = "indent with blanks instead of tabs" if tab else "correct the indentation, or put the text into quotes"
    place = _place(mark) if mark else Place(1, 1)
    mistakes.add(place, f"this is not YAML ({problem})", remedy)


def _place_in(text: str, position: int) -> Place:
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _place(mark: Any) -> Place:
    """Of a parser's mark, whichever of the two kinds it is."""
    return Place(mark.line + 1, mark.column + 1)


class _Reader:
    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._open: list[Node] = []
        self.documents: list[Node] = []

    def take(self, event: yaml.Event) -> bool:
        """Whether reading goes on."""
        place = _place(event.start_mark)
        match event:
            case yaml.MappingStartEvent():
                return self._begin(Node(place, pairs={}))
            case yaml.SequenceStartEvent():
                return self._begin(Node(place, items=[]))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._put(self._open.pop())
            case yaml.ScalarEvent():
                self._put(self._scalar(event, place))
            case yaml.AliasEvent():
                self._mistakes.add(place, "aliases (*name) cannot be used here", "write the value out")
                self._put(Node(place, raw="*"))
        return True

    def _begin(self, node: Node) -> bool:
        if len(self._open) >= _MOST_DEPTH:
            self._mistakes.add(node.place, f"this is nested deeper than {_MOST_DEPTH} levels", "flatten it")
            return False
        self._open.append(node)
        return True

    def _put(self, node: Node) -> None:
        if not self._open:
            self.documents.append(node)
            return
        parent = self._open[-1]
        if parent.items is not None:
            parent.items.append(node)
        elif parent._key is None:
            parent._key = (self._as_key(node), node.place)
        else:
            self._pair(parent, *parent._key, node)
            parent._key = None

    def _as_key(self, node: Node) -> str:
        if node.pairs is not None or node.items is not None:
            self._mistakes.add(node.place, f"{node.kind} cannot be a key", "write `key: value`")
        return node.raw

    def _pair(self, parent: Node, key: str, place: Place, value: Node) -> None:
        assert parent.pairs is not None
        if key in parent.pairs:
            first = parent.pairs[key][0].line
            self._mistakes.add(place, f"'{key}' stands here twice, first in line {first}", "remove or rename one")
        else:
            parent.pairs[key] = (place, value)

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Node:
        loader: Any = yaml.SafeLoader("")
        tag = event.tag or loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        kind = tag.rpartition(":")[2]
        node = Node(place, scalar=event.value, raw=event.value, literal=event.style in ("|", ">"))
        if event.tag and tag not in _PLAIN:
            self._mistakes.add(place, f"the tag {event.tag} cannot be used here", "remove it")
        elif tag in _PLAIN and kind in _CONSTRUCTED:
            node.scalar = _constructed(loader, tag, event.value)
        return node


def _constructed(loader: Any, tag: str, value: str) -> Any:
    """A number or a truth; what only looks like one stays text. Dates and the like stay text, too."""
    try:
        return loader.construct_object(yaml.ScalarNode(tag, value))
    except (ValueError, yaml.YAMLError):
        return value


def lines_of(node: Node) -> Iterator[int]:
    """The lines of the file that the lines of a text stand in, as far as that can be told."""
    first = node.place.line + 1 if node.literal else node.place.line
    for number, _ in enumerate(node.raw.splitlines() or [""]):
        yield first + number if node.literal else first
