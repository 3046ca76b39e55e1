"""The pieces of a tool or application document: checked values with the place in the message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucloud_ray.orchestrator.errors import BadRequest

PARAMETER_TYPES = frozenset(
    {
        "input_file", "input_directory", "text", "textarea", "integer", "floating_point", "boolean", "enumeration",
        "peer", "license_server", "ingress", "network_ip", "workflow", "readme", "modules", "private_network",
    }
)  # fmt: skip
_OWN_FIELDS: dict[str, dict[str, Any]] = {
    "integer": {"min": None, "max": None, "step": None, "unitName": None},
    "floating_point": {"min": None, "max": None, "step": None, "unitName": None},
    "boolean": {"trueValue": "true", "falseValue": "false"},
    "enumeration": {"options": []},
    "license_server": {"tagged": []},
    "peer": {"suggestedApplication": None},
    "modules": {"supportedModules": []},
}
"""Fields that belong to single types, with their defaults (models 8)."""


def parameter(name: str, value: Any) -> dict[str, Any]:
    """One declared parameter."""
    where = f"parameters.{name}"
    given = mapping(value, where)
    kind = string(given.get("type"), f"{where}.type", "")
    if kind not in PARAMETER_TYPES:
        raise BadRequest(f"{where}.type: {kind!r} is not a type of parameters")
    default = given.get("defaultValue")
    own = {field: given.get(field, missing) for field, missing in _OWN_FIELDS.get(kind, {}).items()}
    return {
        "type": kind,
        "name": name,
        "optional": bool(given.get("optional", kind in ("readme", "modules"))),
        "defaultValue": default,
        "title": string(given.get("title"), f"{where}.title", ""),
        "description": string(given.get("description"), f"{where}.description", ""),
        **own,
    }


def invocation_part(part: Any, where: str) -> dict[str, Any]:
    """One piece of the command line: a word, or an object with a type (models 10)."""
    if isinstance(part, (str, int, float)) and not isinstance(part, bool):
        return {"type": "word", "word": str(part)}
    given = mapping(part, where)
    kind = given.get("type")
    if kind == "word":
        return {"type": "word", "word": exact(given.get("word"), f"{where}.word")}  # INV-8: not trimmed
    if kind == "env":
        return {"type": "env", "variable": _needed(given, "variable", where)}
    if kind in ("flag", "bool_flag"):
        return {
            "type": "bool_flag",
            "variableName": _needed(given, "var", where),
            "flag": _needed(given, "flag", where),
        }
    if kind == "jinja":
        _needed(given, "template", where)
        return {"type": "jinja", "template": exact(given["template"], f"{where}.template")}
    if kind == "var":
        return _variable(given, where)
    raise BadRequest(f"{where}: must be a word or have one of the types word, var, flag, env, jinja")


def _variable(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = given.get("vars")
    affixes = ("prefixGlobal", "suffixGlobal", "prefixVariable", "suffixVariable")
    return {
        "type": "var",
        "variableNames": [names] if isinstance(names, str) else strings(names, f"{where}.vars"),
        **{affix: exact(given.get(affix), f"{where}.{affix}") for affix in affixes},
        "isPrefixVariablePartOfArg": given.get("isPrefixVariablePartOfArg") is True,
        "isSuffixVariablePartOfArg": given.get("isSuffixVariablePartOfArg") is True,
    }


def _needed(given: Mapping[str, Any], name: str, where: str) -> str:
    value = string(given.get(name), f"{where}.{name}", "")
    if not value:
        raise BadRequest(f"{where}.{name}: is missing")
    return value


def authors(document: Mapping[str, Any]) -> list[str]:
    return strings(document.get("authors"), "authors")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{where}: must be a map of names to values")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{where}: must be a list")
    return value


def strings(value: Any, where: str) -> list[str]:
    return [string(entry, f"{where}[{index}]", "") for index, entry in enumerate(sequence(value, where))]


def string(value: Any, where: str, default: str) -> str:
    """Text without outer blanks."""
    return default if value is None else exact(value, where).strip()


def exact(value: Any, where: str) -> str:
    """Text as it stands there; YAML reads `version: 1.0` as a number, which is meant as text. Nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise BadRequest(f"{where}: must be a text")
    return str(value)


def integer(value: Any, where: str, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise BadRequest(f"{where}: must be a whole number, not negative")
    return value
