"""Parameters of `application: v1` (models 8). Called by `application`; `check_values` by `modern`, too."""

from __future__ import annotations

from typing import Any

from ucloud_ray.appfile.mistakes import Place, nearest
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.section import Section

_COMMON = ("type", "title", "description", "optional", "defaultValue")
_NUMBER = ("min", "max", "step", "unitName")
_OWN: dict[str, tuple[str, ...]] = {
    "input_file": (),
    "input_directory": (),
    "text": (),
    "textarea": (),
    "integer": _NUMBER,
    "floating_point": _NUMBER,
    "boolean": ("trueValue", "falseValue"),
    "enumeration": ("options",),
    "peer": ("suggestedApplication",),
    "license_server": ("tagged",),
    "ingress": (),
    "network_ip": (),
    "workflow": (),
    "readme": (),
    "modules": ("supportedModules",),
    "private_network": (),
}
"""Type to the keys that only it has."""
_DEFAULTS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text"),
    "textarea": ((str,), "text"),
    "integer": ((int,), "a whole number"),
    "floating_point": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "enumeration": ((str,), "one of the options"),
}
"""Types that may have a default, and what it must be."""


def parameters(application: Section) -> list[dict[str, Any]]:
    return [
        found
        for name, place, node in application.entries("parameters")
        if (found := _parameter(application, name, place, node)) is not None
    ]


def check_name(application: Section, name: str, place: Place) -> None:
    if not name or any(character.isspace() for character in name):
        application.wrong(place, f"'{name}' cannot be the name of a parameter", "use a word without blanks")


def _parameter(application: Section, name: str, place: Place, node: Node) -> dict[str, Any] | None:
    check_name(application, name, place)
    kind = node.pairs["type"][1].raw if node.pairs and "type" in node.pairs else ""
    keys = (*_COMMON, *_OWN.get(kind, {key for own in _OWN.values() for key in own}))
    given = Section(node, f"the parameter '{name}'", keys, application.mistakes)
    if node.pairs is None or given.needed_choice("type", list(_OWN)) is None:
        return None
    check_values(given, kind)
    return {
        "type": kind,
        "name": name,
        "optional": given.flag("optional", kind in ("readme", "modules")),
        "defaultValue": given.plain("defaultValue"),
        "title": given.text("title"),
        "description": given.text("description", long=True),
        **_own(given, kind),
    }


def _own(given: Section, kind: str) -> dict[str, Any]:
    match kind:
        case "integer" | "floating_point":
            return {key: given.plain(key) for key in ("min", "max", "step")} | {
                "unitName": given.text("unitName") or None
            }
        case "boolean":
            return {"trueValue": given.text("trueValue", "true"), "falseValue": given.text("falseValue", "false")}
        case "enumeration":
            return {"options": options(given, "name")}
        case "license_server":
            return {"tagged": given.texts("tagged")}
        case "peer":
            return {"suggestedApplication": given.text("suggestedApplication") or None}
        case "modules":
            return {"supportedModules": given.plain("supportedModules") or []}
    return {}


def options(given: Section, label: str) -> list[dict[str, str]]:
    """Of an enumeration; `label` is the key of what users read."""
    node = given.needed("options", f"[{{{label}: One, value: one}}]")
    if node is None:
        return []
    if not node.items:
        given.wrong(
            node, "'options' must be a list with at least one option", f"write `- {{{label}: One, value: one}}`"
        )
        return []
    found = [Section(item, f"an option of {given.called}", (label, "value"), given.mistakes) for item in node.items]
    return [{"name": one.needed_text(label, "One"), "value": one.needed_text("value", "one")} for one in found]


# ---------------------------------------------------------------------------------------------------------- values


def check_values(given: Section, kind: str) -> None:
    """Numbers that are numbers, bounds in their order, and a default that the parameter could take."""
    if kind in ("integer", "floating_point"):
        _check_bounds(given, kind)
    node = given.get("defaultValue")
    if node is None:
        return
    if kind not in _DEFAULTS:
        given.wrong(node, f"a parameter of the type {kind} cannot have a default", "remove 'defaultValue'")
        return
    node = _bare(node)
    if not _fits(node, kind):
        given.wrong(node, f"the default of {given.called} must be {_DEFAULTS[kind][1]}", "correct 'defaultValue'")
    elif kind == "enumeration":
        _check_option(given, node)
    elif kind in ("integer", "floating_point"):
        _check_within(given, node)


def _bare(node: Node) -> Node:
    """The value of `{type, value}` (INV-4)."""
    return node.pairs["value"][1] if node.pairs and "value" in node.pairs else node


def _fits(node: Node, kind: str) -> bool:
    allowed = _DEFAULTS[kind][0]
    if isinstance(node.scalar, bool):
        return bool in allowed
    if str in allowed:
        return node.pairs is None and node.items is None
    return isinstance(node.scalar, allowed)


def _check_bounds(given: Section, kind: str) -> None:
    numbers = {}
    for key in ("min", "max", "step"):
        node = given.get(key)
        if node is not None and _fits(node, kind):
            numbers[key] = node.scalar
        elif node is not None:
            given.wrong(node, f"'{key}' of {given.called} must be {_DEFAULTS[kind][1]}", "write it without quotes")
    least, most = numbers.get("min"), numbers.get("max")
    if least is not None and most is not None and least > most:  # type: ignore[operator]  # numbers, as just seen
        given.wrong(given.place("min"), f"'min' {least} of {given.called} is above 'max' {most}", "swap them")


def _check_within(given: Section, node: Node) -> None:
    assert isinstance(node.scalar, int | float)
    for key in ("min", "max"):
        bound = given.get(key)
        if bound is None or not isinstance(bound.scalar, int | float):
            continue
        if node.scalar < bound.scalar if key == "min" else node.scalar > bound.scalar:
            message = f"the default {node.raw} of {given.called} is beyond its '{key}' {bound.raw}"
            given.wrong(node, message, "correct one of them")


def _check_option(given: Section, node: Node) -> None:
    """By value first, then by name (W14)."""
    listed_options = given.get("options")
    known = [
        one.pairs[key][1].raw
        for key in ("value", "name", "title")
        for one in (listed_options.items or [] if listed_options is not None else [])
        if one.pairs and key in one.pairs
    ]
    if known and node.raw not in known:
        given.wrong(
            node, f"the default '{node.raw}' of {given.called} is no option", nearest(node.raw, known, "add it")
        )
