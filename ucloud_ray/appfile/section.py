"""A map of a file, read key by key: each reading gives a value that can be gone on with, and notes what is wrong.

Called by the readers of single kinds of documents. A key that stands there without a value counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ucloud_ray.appfile.mistakes import Mistakes, Place, closest, listed, nearest
from ucloud_ray.appfile.nodes import Node

_LONGEST = 255


class Section:
    def __init__(self, node: Node, called: str, keys: Iterable[str], mistakes: Mistakes) -> None:
        """`called` is what it is in messages: `an application`, `the parameter 'n'`. Anything but a map counts as an
        empty one."""
        self.node, self.called, self.mistakes = node, called, mistakes
        self._pairs = node.pairs or {}
        self._excused: set[str] = set()
        """Keys that are not there because they are misspelt: one mistake is told once."""
        if node.pairs is None:
            self.wrong(node, f"{called} must be a map of keys to values", f"write `key: value` lines, not {node.kind}")
        for key, (place, _) in self._pairs.items():
            self._require_known(key, place, list(keys))

    def _require_known(self, key: str, place: Place, known: list[str]) -> None:
        if key in known:
            return
        meant = closest(key, known)
        if meant is not None:
            self._excused.add(meant)
        remedy = f"known are {listed(known)}" if meant is None else f"did you mean '{meant}'?"
        self.mistakes.add(place, f"unknown key '{key}' in {self.called}", remedy)

    def excuses(self, key: str) -> bool:
        """Whether that the key is missing is explained by another mistake."""
        return self.node.pairs is None or key in self._excused

    def wrong(self, at: Node | Place, message: str, remedy: str) -> None:
        self.mistakes.add(at.place if isinstance(at, Node) else at, message, remedy)

    def get(self, key: str) -> Node | None:
        found = self._pairs.get(key)
        return None if found is None or found[1].empty else found[1]

    def place(self, key: str) -> Place:
        """Of its value, else of the section."""
        node = self.get(key)
        return self.node.place if node is None else node.place

    def needed(self, key: str, example: str) -> Node | None:
        node = self.get(key)
        if node is None and not self.excuses(key):
            at = self._pairs[key][0] if key in self._pairs else self.node.place
            self.wrong(at, f"{self.called} has no '{key}'", f"add `{key}: {example}`")
        return node

    # ------------------------------------------------------------------------------------------------- values

    def text(self, key: str, default: str = "", *, long: bool = False) -> str:
        node = self.get(key)
        return default if node is None else self.as_text(node, f"'{key}'", long=long)

    def needed_text(self, key: str, example: str, *, long: bool = False, blank: bool = False) -> str:
        """`blank`: it may be there and empty."""
        node = self.needed(key, example)
        if node is None:
            return ""
        if not blank and node.pairs is None and node.items is None and not node.raw.strip():
            self.wrong(node, f"'{key}' of {self.called} is empty", f"write `{key}: {example}`")
        return self.as_text(node, f"'{key}'", long=long)

    def as_text(self, node: Node, called: str, *, long: bool = False) -> str:
        """Numbers are taken as they were written; a bare `yes` is no text in YAML."""
        if node.pairs is not None or node.items is not None:
            self.wrong(node, f"{called} must be text, not {node.kind}", "write it in one line")
            return ""
        if isinstance(node.scalar, bool):
            self.wrong(node, f"{called} must be text, and YAML reads {node.raw} as true or false", "put it into quotes")
        text = node.raw if long else node.raw.strip()
        if "\0" in text:
            self.wrong(node, f"{called} has a NUL character in it", "remove it")
        if not long and (len(text) > _LONGEST or "\n" in text):
            self.wrong(node, f"{called} must be one line of at most {_LONGEST} characters", "shorten it")
        return text

    def texts(self, key: str) -> list[str]:
        node = self.get(key)
        if node is None:
            return []
        if node.items is None:
            self.wrong(node, f"'{key}' must be a list, not {node.kind}", f"write `{key}: [{node.raw or '...'}]`")
            return []
        return [self.as_text(item, f"an entry of '{key}'") for item in node.items]

    def flag(self, key: str, default: bool | None) -> bool | None:
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node.scalar, bool):
            self.wrong(node, f"'{key}' must be true or false, not {_shown(node)}", "write true or false without quotes")
            return default
        return node.scalar

    def whole(self, key: str, default: int | None, least: int, most: int) -> int | None:
        node = self.get(key)
        if node is None:
            return default
        if isinstance(node.scalar, bool) or not isinstance(node.scalar, int):
            self.wrong(node, f"'{key}' must be a whole number, not {_shown(node)}", "write it without quotes")
            return default
        if not least <= node.scalar <= most:
            self.wrong(node, f"'{key}' is {node.scalar}", f"write a number from {least} to {most}")
            return default
        return node.scalar

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        node = self.get(key)
        return default if node is None else self._chosen(key, node, options, default)

    def needed_choice(self, key: str, options: Sequence[str]) -> str | None:
        node = self.needed(key, options[0])
        return None if node is None else self._chosen(key, node, options, "") or None

    def _chosen(self, key: str, node: Node, options: Sequence[str], default: str) -> str:
        if node.raw in options and node.items is None and node.pairs is None:
            return node.raw
        remedy = nearest(node.raw, options, f"choose from {listed(options)}")
        self.wrong(node, f"{_shown(node)} cannot be the '{key}' of {self.called}", remedy)
        return default

    def section(self, key: str, keys: Iterable[str]) -> Section | None:
        node = self.get(key)
        return None if node is None else Section(node, f"'{key}' of {self.called}", keys, self.mistakes)

    def entries(self, key: str) -> list[tuple[str, Place, Node]]:
        """Of a map whose keys are names of the author's."""
        node = self.get(key)
        if node is None:
            return []
        if node.pairs is None:
            self.wrong(node, f"'{key}' must be a map, not {node.kind}", "write `name: value` lines below it")
            return []
        return [(name, place, value) for name, (place, value) in node.pairs.items()]

    def plain(self, key: str) -> Any:
        node = self.get(key)
        return None if node is None else node.plain()


def _shown(node: Node) -> str:
    return f"'{node.raw}'" if node.pairs is None and node.items is None else node.kind
