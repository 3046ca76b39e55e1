"""`name=value` words of a command line to the typed values that an application's parameters ask for (models 8, 9).

Pure; called by `run`. The other side checks everything again: this is here to answer at once and to name the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ucloud_ray.cli import names
from ucloud_ray.cli.errors import UsageMistake

Parameter = Mapping[str, Any]
"""`ApplicationParameter` of the wire."""


def typed_values(words: Sequence[str], parameters: Sequence[Parameter], application: str) -> dict[str, Any]:
    """Parameter name to `AppParameterValue`. Raises `UsageMistake`."""
    by_name = {parameter["name"]: parameter for parameter in parameters}
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageMistake(f"'{word}' is not NAME=VALUE", "write parameters like var=Example")
        if name not in by_name:
            hint = names.hint(name, by_name, f"ucloud-ray apps show {application}")
            raise UsageMistake(f"'{application}' has no parameter '{name}'", hint)
        given[name] = _typed(by_name[name], text)
    _refuse_missing(given, parameters, application)
    return given


def _refuse_missing(given: Mapping[str, Any], parameters: Sequence[Parameter], application: str) -> None:
    missing = [parameter["name"] for parameter in parameters if mandatory(parameter) and parameter["name"] not in given]
    if missing:
        example = " ".join(f"{name}=..." for name in missing)
        raise UsageMistake(f"'{application}' needs {', '.join(missing)}", f"add {example} to the command")


def mandatory(parameter: Parameter) -> bool:
    if parameter.get("type") in ("readme", "modules"):
        return False
    return not parameter.get("optional", False) and parameter.get("defaultValue") is None


def _typed(parameter: Parameter, text: str) -> dict[str, Any]:
    kind = str(parameter.get("type"))
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        raise UsageMistake(
            f"'{parameter['name']}' is a parameter of type {kind}", "such a value cannot be given on a command line"
        )
    return convert(parameter, text)


def _file(parameter: Parameter, text: str) -> dict[str, Any]:
    if not text.startswith("/"):
        raise UsageMistake(f"'{parameter['name']}' is a file", "write its UCloud path, /DRIVE/FOLDER/FILE")
    return {"type": "file", "path": text, "readOnly": False}


def _text(parameter: Parameter, text: str) -> dict[str, Any]:
    return {"type": "text", "value": text}


def _boolean(parameter: Parameter, text: str) -> dict[str, Any]:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise UsageMistake(f"'{parameter['name']}' cannot be '{text}'", "write true or false")
    return {"type": "boolean", "value": words[text.lower()]}


def _number(kind: str, number: Callable[[str], int | float], words: str) -> Callable[[Parameter, str], dict[str, Any]]:
    def convert(parameter: Parameter, text: str) -> dict[str, Any]:
        try:
            value = number(text)
        except ValueError:
            raise UsageMistake(f"'{parameter['name']}' cannot be '{text}'", f"write {words}") from None
        low, high = parameter.get("min"), parameter.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            raise UsageMistake(f"'{parameter['name']}' cannot be {text}", f"it must lie {_range(low, high)}")
        return {"type": kind, "value": value}

    return convert


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at or below {high}"
    return f"at or above {low}" if high is None else f"between {low} and {high}"


def _enumeration(parameter: Parameter, text: str) -> dict[str, Any]:
    options = parameter.get("options") or []
    allowed = [str(option["name"]) for option in options]
    if text not in allowed and text not in [option.get("value") for option in options]:
        raise UsageMistake(f"'{parameter['name']}' cannot be '{text}'", f"choose from {', '.join(allowed)}")
    return {"type": "text", "value": text}


def _peer(parameter: Parameter, text: str) -> dict[str, Any]:
    hostname, colon, job = text.partition(":")
    if not colon or not hostname or not job:
        raise UsageMistake(f"'{parameter['name']}' is another job", "write HOSTNAME:JOBID, for example server:48920")
    return {"type": "peer", "hostname": hostname, "jobId": job}


def _resource(kind: str) -> Callable[[Parameter, str], dict[str, Any]]:
    return lambda parameter, text: {"type": kind, "id": text}


_CONVERSIONS: Mapping[str, Callable[[Parameter, str], dict[str, Any]]] = {
    "input_file": _file,
    "input_directory": _file,
    "text": _text,
    "textarea": _text,
    "boolean": _boolean,
    "integer": _number("integer", int, "a whole number"),
    "floating_point": _number("floating_point", float, "a number"),
    "enumeration": _enumeration,
    "peer": _peer,
    "license_server": _resource("license_server"),
    "ingress": _resource("ingress"),
    "network_ip": _resource("network"),
}
