"""Python values, or words of a command line, to the typed values that parameters ask for (models 8, 9).

Pure. The other side checks everything again: this is here to answer at once and to say what to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ucloud_ray.client.errors import Mistake
from ucloud_ray.wire.common import Model, to_wire

Parameter = Mapping[str, Any]
"""`ApplicationParameter` of the wire."""
Value = Any
"""A text, number, truth value, path, `File`, `Peer`, or an `AppParameterValue` as it is on the wire."""
Conversion = Callable[[Parameter, Value], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder of a drive: `home-user/inputs`, with or without a slash before it."""

    path: str
    read_only: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"type": "file", "path": drive_path(self.path), "readOnly": self.read_only}


@dataclass(frozen=True, slots=True)
class Peer:
    """Another job, and the name by which this one reaches it."""

    hostname: str
    job_id: str

    def to_json(self) -> dict[str, Any]:
        return {"type": "peer", "hostname": self.hostname, "jobId": self.job_id}


def typed_values(given: Mapping[str, Value], parameters: Sequence[Parameter], application: str) -> dict[str, Any]:
    """Parameter name to `AppParameterValue`. Raises `Mistake`."""
    by_name = {str(parameter["name"]): parameter for parameter in parameters}
    for name in given:
        if name not in by_name and not name.startswith("_injected_"):
            raise Mistake(f"'{application}' has no parameter '{name}'", near(name, by_name) or _known(by_name))
    missing = [str(parameter["name"]) for parameter in parameters if mandatory(parameter)]
    if missing := [name for name in missing if name not in given]:
        example = " ".join(f"{name}=..." for name in missing)
        raise Mistake(f"'{application}' needs {', '.join(missing)}", f"add {example}")
    return {name: typed(by_name.get(name, {"name": name, "type": "text"}), value) for name, value in given.items()}


def mandatory(parameter: Parameter) -> bool:
    if parameter.get("type") in ("readme", "modules"):
        return False
    return not parameter.get("optional", False) and parameter.get("defaultValue") is None


def typed(parameter: Parameter, value: Value) -> dict[str, Any]:
    """One value for one parameter. Raises `Mistake`."""
    if (ready := already_typed(value)) is not None:
        return ready
    kind = str(parameter.get("type"))
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        raise Mistake(f"'{parameter['name']}' is a parameter of type {kind}", "give the value as UCloud writes it")
    return convert(parameter, value)


def already_typed(value: Value) -> dict[str, Any] | None:
    """What is a value of UCloud's already."""
    if isinstance(value, File | Peer):
        return value.to_json()
    if isinstance(value, Model):
        return to_wire(value, omit_null=True)
    return dict(value) if isinstance(value, Mapping) and isinstance(value.get("type"), str) else None


def mount(value: Value) -> dict[str, Any]:
    """`DRIVE/PATH`, `DRIVE/PATH:ro`, or a value as above."""
    if (ready := already_typed(value)) is not None:
        return ready
    path = _text_of(value)
    return File(path.removesuffix(":ro"), path.endswith(":ro")).to_json()


def drive_path(place: object) -> str:
    """`DRIVE/PATH` as UCloud writes it, `/DRIVE/PATH`. Raises `Mistake`."""
    path = "/" + _text_of(place).strip("/")
    if path == "/":
        raise Mistake(f"'{place}' names no drive", "write it like home-user/inputs")
    return path


def near(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or nothing."""
    lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f"did you mean '{lower[found[0]]}'?" if found else ""


# ------------------------------------------------------------------------------------------------ conversions


def _known(names: Iterable[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has none"


def _text_of(value: object) -> str:
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _file(parameter: Parameter, value: Value) -> dict[str, Any]:
    path = _text_of(value)
    if "/" not in path.rstrip("/") and not path.endswith("/"):
        raise Mistake(f"'{parameter['name']}' is a file of a drive", "write it like home-user/inputs/data.csv")
    return File(path).to_json()


def _text(parameter: Parameter, value: Value) -> dict[str, Any]:
    return {"type": "text", "value": _text_of(value)}


def _boolean(parameter: Parameter, value: Value) -> dict[str, Any]:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise Mistake(f"'{parameter['name']}' cannot be '{value}'", "write true or false")
    return {"type": "boolean", "value": words[word]}


def _number(kind: str, number: Callable[[Any], int | float], words: str) -> Conversion:
    def convert(parameter: Parameter, given: Value) -> dict[str, Any]:
        try:
            value = number(given)
        except (ValueError, TypeError, OverflowError):
            raise Mistake(f"'{parameter['name']}' cannot be '{given}'", f"write {words}") from None
        low, high = parameter.get("min"), parameter.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            raise Mistake(f"'{parameter['name']}' cannot be {given}", f"it must lie {_range(low, high)}")
        return {"type": kind, "value": value}

    return convert


def _whole(given: Value) -> int:
    if isinstance(given, bool):
        raise TypeError
    if not isinstance(given, str) and int(given) != given:
        raise ValueError
    return int(given)


def _real(given: Value) -> float:
    if isinstance(given, bool):
        raise TypeError
    value = float(given)
    if value - value != 0:
        raise ValueError  # JSON has neither infinities nor NaN
    return value


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at or below {high}"
    return f"at or above {low}" if high is None else f"between {low} and {high}"


def _enumeration(parameter: Parameter, value: Value) -> dict[str, Any]:
    options = parameter.get("options") or []
    allowed = [str(option["name"]) for option in options]
    text = str(value)
    if text not in allowed and text not in [option.get("value") for option in options]:
        raise Mistake(f"'{parameter['name']}' cannot be '{text}'", f"choose from {', '.join(allowed)}")
    return {"type": "text", "value": text}


def _peer(parameter: Parameter, value: Value) -> dict[str, Any]:
    hostname, _, job_id = str(value).partition(":")
    if not hostname or not job_id:
        raise Mistake(f"'{parameter['name']}' is another job", "write HOSTNAME:JOBID, for example server:48920")
    return Peer(hostname, job_id).to_json()


def _resource(kind: str) -> Conversion:
    return lambda parameter, value: {"type": kind, "id": str(value)}


_CONVERSIONS: Mapping[str, Conversion] = {
    "input_file": _file,
    "input_directory": _file,
    "text": _text,
    "textarea": _text,
    "boolean": _boolean,
    "integer": _number("integer", _whole, "a whole number"),
    "floating_point": _number("floating_point", _real, "a number"),
    "enumeration": _enumeration,
    "peer": _peer,
    "license_server": _resource("license_server"),
    "ingress": _resource("ingress"),
    "network_ip": _resource("network"),
}
