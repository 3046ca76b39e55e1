"""From what the user gave and the application declares to typed values (job-semantics 2.2).

Works on plain JSON: parameters are `invocation.parameters`, values are `specification.parameters`. The JSON must have
been read so that integers stayed integers; no library that reads large ones as floating point will do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.paths import require_passable

Json = Mapping[str, Any]

_VALUE_TYPES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "textarea"),
    "textarea": ("text", "textarea"),
    "integer": ("integer",),
    "floating_point": ("floating_point",),
    "boolean": ("boolean", "bool"),
    "enumeration": ("text",),
    "input_file": ("file",),
    "input_directory": ("file",),
    "peer": ("peer",),
    "license_server": ("license_server",),
    "network_ip": ("network",),
    "ingress": ("ingress",),
    "private_network": ("private_network",),
    "workflow": ("workflow",),
    "modules": ("modules",),
}
"""Parameter type to the accepted types of value, those of the documentation included (INV-2, INV-9)."""

_FIELDS: Mapping[str, str] = {
    "input_file": "path",
    "input_directory": "path",
    "peer": "hostname",
    "license_server": "id",
    "network_ip": "id",
    "ingress": "id",
    "private_network": "id",
}
"""The field that counts where it is not `value`; it holds a string."""

_WITHOUT_TEXT = ("workflow", "modules")
_NEVER_MANDATORY = ("modules",)


@dataclass(frozen=True, slots=True)
class TypedValue:
    """A parameter that has a value."""

    parameter: Json
    """The declaration."""
    value: str | int | float | bool
    """Text, number or truth; the path, host name or resource id; empty for what has no text."""


def resolve(parameters: Sequence[Json], values: Mapping[str, Json]) -> dict[str, TypedValue]:
    """Values by name; absent parameters are missing (INV-1, INV-3, INV-5).

    Raises `InvalidInvocation` for a mandatory parameter without value and default (INV-6), and for text that no
    process can be given (INV-7).
    """
    resolved: dict[str, TypedValue] = {}
    for parameter in parameters:
        name = parameter["name"]
        value = _given(parameter, values.get(name))
        value = _default(parameter) if value is None else value
        if value is not None:
            _check(name, value)
            resolved[name] = TypedValue(parameter, value)
        elif _mandatory(parameter):
            raise InvalidInvocation(f"The parameter '{parameter.get('title') or name}' ({name}) needs a value.")
    return resolved


def _mandatory(parameter: Json) -> bool:
    """A type that we do not know can have no value, so that none is missed."""
    kind = parameter["type"]
    return kind in _VALUE_TYPES and kind not in _NEVER_MANDATORY and not parameter.get("optional")


def _check(name: str, value: str | int | float | bool) -> None:
    if isinstance(value, str):
        require_passable(value, f"The value of the parameter '{name}'")


def _given(parameter: Json, value: Json | None) -> str | int | float | bool | None:
    kind = parameter["type"]
    if value is None or value.get("type") not in _VALUE_TYPES.get(kind, ()):
        return None
    return "" if kind in _WITHOUT_TEXT else _typed(kind, value.get(_FIELDS.get(kind, "value")))


def _default(parameter: Json) -> str | int | float | bool | None:
    """Plain or wrapped (INV-4); only for the types whose value is in `value`."""
    kind, default = parameter["type"], parameter.get("defaultValue")
    if kind in _FIELDS or kind in _WITHOUT_TEXT or kind not in _VALUE_TYPES:
        return None
    return _typed(kind, default.get("value") if isinstance(default, Mapping) else default)


def _typed(kind: str, raw: Any) -> str | int | float | bool | None:
    """None if the JSON type does not fit."""
    match kind:
        case "boolean":
            return raw if isinstance(raw, bool) else None
        case "integer":
            return _integer(raw)
        case "floating_point":
            return _floating_point(raw)
        case _:
            return raw if isinstance(raw, str) else None


def _integer(raw: Any) -> int | None:
    """Also `1e+06`, which is how some senders write a whole number."""
    if isinstance(raw, float) and math.isfinite(raw) and raw.is_integer():
        return int(raw)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _floating_point(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        value = float(raw)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None
