"""Command lines and variables of `application: v1` (models 10, INV-9 to INV-22). Called by `application`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ucloud_ray.appfile import templates
from ucloud_ray.appfile.mistakes import Place, listed, nearest
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.section import Section

_AFFIXES = ("prefixGlobal", "suffixGlobal", "prefixVariable", "suffixVariable")
_JOINED = ("isPrefixVariablePartOfArg", "isSuffixVariablePartOfArg")
_KEYS = {
    "word": ("type", "word"),
    "var": ("type", "vars", *_AFFIXES, *_JOINED),
    "flag": ("type", "var", "flag"),
    "bool_flag": ("type", "var", "flag"),
    "env": ("type", "var", "variable"),
    "jinja": ("type", "template"),
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Names:
    """Of the declared parameters, and the type of each."""

    types: Mapping[str, str]

    @property
    def open(self) -> bool:
        """Whether there may be more, because a workflow brings some (INV-43)."""
        return "workflow" in self.types.values()


def command_line(application: Section, names: Names) -> list[dict[str, Any]]:
    """`invocation`; absent or empty: the image's own entry point (INV-27)."""
    node = application.get("invocation")
    if node is None:
        return []
    if node.items is None:
        application.wrong(node, f"'invocation' must be a list, not {node.kind}", "write one `- word` a line")
        return []
    parts = [_part(item, application, names) for item in node.items]
    found = [part for part in parts if part is not None]
    if len(found) > 1 and (template := next((p for p in node.items if _type_of(p) == "jinja"), None)):
        application.wrong(template, "a template cannot stand beside other words", "write all of them into the template")
    return found


def environment(application: Section, names: Names) -> dict[str, Any] | None:
    if application.get("environment") is None:
        return None
    variables: dict[str, Any] = {}
    for name, place, node in application.entries("environment"):
        check_variable(application, name, place)
        part = _part(node, application, names)
        if part is not None:
            variables[name] = part
    return variables


def check_variable(application: Section, name: str, place: Place) -> None:
    """INV-22."""
    if not _VARIABLE.fullmatch(name):
        remedy = "use letters, digits and _, and no digit at the beginning"
        application.wrong(place, f"'{name}' cannot be the name of an environment variable", remedy)


def _type_of(node: Node) -> str:
    return node.pairs["type"][1].raw if node.pairs and "type" in node.pairs else ""


def _part(node: Node, application: Section, names: Names) -> dict[str, Any] | None:
    """One piece: a bare word, or a map with a type. None if it cannot be told what is meant."""
    if node.pairs is None and node.items is None:
        if node.empty:
            application.wrong(node, "an entry is empty", "remove it, or write '' for an empty argument")
            return None
        return {"type": "word", "word": application.as_text(node, "a word", long=True)}
    kind = _type_of(node)
    if kind not in _KEYS:
        remedy = nearest(kind, _KEYS, f"write a word, or a map with `type:` {listed(_KEYS)}")
        what = (
            f"'{kind}' is no type of an argument" if kind else f"an argument is a word or has a type, not {node.kind}"
        )
        application.wrong(node, what, remedy)
        return None
    part = Section(node, f"an argument of the type {kind}", _KEYS[kind], application.mistakes)
    return _WRITERS[kind](part, names)


def _word(part: Section, names: Names) -> dict[str, Any]:
    return {"type": "word", "word": part.needed_text("word", "text", long=True, blank=True)}


def _var(part: Section, names: Names) -> dict[str, Any]:
    node = part.needed("vars", next(iter(names.types), "parameter"))
    return {
        "type": "var",
        "variableNames": [] if node is None else _references(part, node, names),
        **{affix: part.text(affix, long=True) for affix in _AFFIXES},
        **{joined: part.flag(joined, False) for joined in _JOINED},
    }


def _references(part: Section, node: Node, names: Names) -> list[str]:
    if node.pairs is not None:
        part.wrong(node, "'vars' must be the name of a parameter or a list of names", "write `vars: name`")
        return []
    return [_reference(part, one, names) for one in (node.items if node.items is not None else [node])]


def _reference(part: Section, node: Node, names: Names) -> str:
    name = part.as_text(node, "the name of a parameter")
    if name not in names.types and not names.open:
        declared = listed(names.types) or "none"
        remedy = nearest(name, names.types, f"declare it in 'parameters' (there are {declared})")
        part.wrong(node, f"there is no parameter '{name}'", remedy)
    return name


def _flag(part: Section, names: Names) -> dict[str, Any]:
    node = part.needed("var", next(iter(names.types), "parameter"))
    name = "" if node is None else _reference(part, node, names)
    if node is not None and names.types.get(name, "boolean") != "boolean":
        remedy = "use `type: var`, or declare the parameter with `type: boolean`"
        part.wrong(node, f"a flag needs a boolean, and '{name}' is of the type {names.types[name]}", remedy)
    return {"type": "bool_flag", "variableName": name, "flag": part.needed_text("flag", "--flag")}


def _env(part: Section, names: Names) -> dict[str, Any]:
    key = "variable" if part.get("variable") is not None else "var"
    return {"type": "env", "variable": part.needed_text(key, "HOME")}


def _jinja(part: Section, names: Names) -> dict[str, Any]:
    template = part.needed_text("template", "command {{ parameter }}", long=True)
    node = part.get("template")
    if node is not None:
        templates.check(node, part, names.types, any_name=names.open)
    return {"type": "jinja", "template": template}


_WRITERS = {"word": _word, "var": _var, "flag": _flag, "bool_flag": _flag, "env": _env, "jinja": _jinja}
