"""Typed values as text for a command line or a variable (job-semantics 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.paths import normalise
from ucloud_ray.domain.values import Json, TypedValue

PathMap = Callable[[str], str | None]
"""Normalised UCloud path to the path that the job sees (INV-29, INV-30); None if it sees none."""


def text_of(typed: TypedValue, map_path: PathMap, licenses: Mapping[str, str]) -> str:
    """`licenses`: id to `license_text`. Raises `InvalidInvocation` for a file or licence that the job cannot have."""
    parameter, value = typed.parameter, typed.value
    match parameter["type"]:
        case "boolean":
            return boolean(parameter, bool(value))
        case "floating_point":
            return floating_point(float(value))
        case "enumeration":
            return enumeration(parameter, str(value))
        case "input_file" | "input_directory":
            return _path(parameter, str(value), map_path)
        case "license_server":
            return _license(parameter, str(value), licenses)
        case _:
            return str(value)


def boolean(parameter: Json, value: bool) -> str:
    return (parameter.get("trueValue") or "true") if value else (parameter.get("falseValue") or "false")


def floating_point(value: float) -> str:
    """The shortest decimal that reads back as the same number, plain between 1e-4 and 1e21 (Q3 to Q5)."""
    shortest = repr(value)
    if value != 0 and not 1e-4 <= abs(value) < 1e21:
        return shortest
    plain = format(Decimal(shortest), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def enumeration(parameter: Json, value: str) -> str:
    """Browsers send the option's value, others its name (W14); anything else passes unchanged."""
    options = parameter.get("options") or ()
    if any(option.get("value") == value for option in options):
        return value
    return next((str(option.get("value")) for option in options if option.get("name") == value), value)


def license_text(address: str | None, port: int | None, key: str | None = None) -> str:
    """`address:port`, and `/key` if there is one (Q6). Raises `InvalidInvocation` if address or port is missing."""
    if not address or not port:
        raise InvalidInvocation("The licence server has no address or port yet. Ask its provider to complete it.")
    return f"{address}:{port}" + (f"/{key}" if key else "")


def license_texts(values: Mapping[str, Json]) -> dict[str, str]:
    """Id to text of every licence among the values of parameters that came with address and port (W16)."""
    return {
        str(value.get("id")): license_text(value["address"], value["port"], value.get("license"))
        for value in values.values()
        if value.get("type") == "license_server" and value.get("address") and value.get("port")
    }


def _path(parameter: Json, value: str, map_path: PathMap) -> str:
    mapped = map_path(normalise(value))
    if mapped is None:
        raise InvalidInvocation(
            f"The file {value!r} of the parameter '{parameter['name']}' is not available to the job."
        )
    return mapped


def _license(parameter: Json, id: str, licenses: Mapping[str, str]) -> str:
    if id not in licenses:
        raise InvalidInvocation(
            f"The licence of the parameter '{parameter['name']}' came without address and port. Choose it again, or"
            " another one."
        )
    return licenses[id]
