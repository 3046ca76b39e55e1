"""From an application and the user's values to a command line and variables (job-semantics section 2).

Called when a job is accepted, with plain JSON: `parameters` is `invocation.parameters`, `invocation` is
`invocation.invocation`, `environment` is `invocation.environment`, `values` is `specification.parameters`. Nothing is
quoted and nothing is expanded, because no shell stands in between (INV-23, INV-25). Templates are not rendered here.

`final_environment` and `final_argv` do the rest once the provider's variables of a rank are known (INV-16).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.formatting import PathMap, text_of
from ucloud_ray.domain.job import EnvRef, Launch
from ucloud_ray.domain.paths import require_passable
from ucloud_ray.domain.values import Json, TypedValue, resolve

__all__ = [
    "AppEnvironment",
    "InvalidInvocation",
    "build_argv",
    "build_environment",
    "final_argv",
    "final_environment",
]

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Argument = str | EnvRef


class AppEnvironment(NamedTuple):
    """The application's own variables (INV-18): `Launch.environment` and `Launch.references`."""

    variables: Mapping[str, str]
    references: Mapping[str, str]
    """Variable to the variable of the provider or the image whose value it takes (INV-16)."""


def build_argv(
    parameters: Sequence[Json],
    invocation: Sequence[Json],
    values: Mapping[str, Json],
    map_path: PathMap,
    licenses: Mapping[str, str] | None = None,
) -> tuple[Argument, ...]:
    """The argument vector; empty if there are no entries (INV-27).

    `map_path` is asked with normalised UCloud paths; `licenses` is licence id to text. Raises `InvalidInvocation`.
    """
    _refuse_templates(invocation)
    writer = _Writer(resolve(parameters, values), map_path, licenses or {})
    return tuple(argument for entry in invocation for argument in writer.write(entry))


def build_environment(
    parameters: Sequence[Json],
    environment: Mapping[str, Json] | None,
    values: Mapping[str, Json],
    map_path: PathMap,
    licenses: Mapping[str, str] | None = None,
) -> AppEnvironment:
    """INV-18 to INV-22; arguments as for `build_argv`."""
    writer = _Writer(resolve(parameters, values), map_path, licenses or {})
    variables: dict[str, str] = {}
    references: dict[str, str] = {}
    for name, entry in (environment or {}).items():
        _require_name(name)
        _refuse_templates([entry])
        match writer.write(entry):
            case [EnvRef(variable=variable)]:
                references[name] = variable
            case arguments:
                variables[name] = " ".join(str(argument) for argument in arguments)
    return AppEnvironment(variables, references)


def final_environment(launch: Launch, provided: Mapping[str, str]) -> dict[str, str]:
    """All variables of a rank; the provider's win (INV-22). A reference to another variable of the application, or to
    one that only the image sets, is the empty string."""
    references = {name: provided.get(variable, "") for name, variable in launch.references.items()}
    return {**launch.environment, **references, **provided}


def final_argv(launch: Launch, environment: Mapping[str, str]) -> tuple[str, ...]:
    """INV-16, with the result of `final_environment`."""
    return tuple(
        environment.get(argument.variable, "") if isinstance(argument, EnvRef) else argument for argument in launch.argv
    )


def _refuse_templates(invocation: Sequence[Json]) -> None:
    """INV-17, Q9."""
    if not any(entry.get("type") == "jinja" for entry in invocation):
        return
    if len(invocation) > 1:
        raise InvalidInvocation("The application mixes a template with other arguments. Its author must correct it.")
    raise InvalidInvocation("Templated applications are not supported yet. Choose another version of the application.")


def _require_name(name: str) -> None:
    """INV-22."""
    if not _VARIABLE_NAME.fullmatch(name):
        raise InvalidInvocation(f"{name!r} cannot be the name of an environment variable.")


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes single entries (2.4)."""

    values: Mapping[str, TypedValue]
    map_path: PathMap
    licenses: Mapping[str, str]

    def write(self, entry: Json) -> list[Argument]:
        arguments = self._arguments(entry)
        for argument in arguments:
            require_passable(argument.variable if isinstance(argument, EnvRef) else argument, "An argument")
        return arguments

    def _arguments(self, entry: Json) -> list[Argument]:
        match entry.get("type"):
            case "word":
                return [_text(entry, "word")]
            case "env":
                return [EnvRef(_text(entry, "variable"))]
            case "bool_flag":
                return self._flag(entry)
            case "var":
                return self._variables(entry)
            case kind:
                raise InvalidInvocation(f"The application has an argument of the unknown kind {kind!r}.")

    def _flag(self, entry: Json) -> list[Argument]:
        """INV-9. The documentation writes the name as a list of one."""
        names = _names(entry.get("variableName"))
        value = self.values.get(names[0]) if names else None
        return [_text(entry, "flag").strip()] if value is not None and value.value is True else []

    def _variables(self, entry: Json) -> list[Argument]:
        """INV-10 to INV-15. Values are never trimmed."""
        present = [self.values[name] for name in _names(entry.get("variableNames")) if name in self.values]
        if not present:
            return []
        groups = [word for value in present for word in self._group(entry, value)]
        return [*_affix(entry, "prefixGlobal"), *groups, *_affix(entry, "suffixGlobal")]

    def _group(self, entry: Json, typed: TypedValue) -> list[str]:
        """INV-13: an affix stands alone or is glued to the value with nothing between."""
        prefix, suffix = _affix(entry, "prefixVariable"), _affix(entry, "suffixVariable")
        text = text_of(typed, self.map_path, self.licenses)
        if entry.get("isPrefixVariablePartOfArg"):
            prefix, text = [], "".join([*prefix, text])
        if entry.get("isSuffixVariablePartOfArg"):
            suffix, text = [], "".join([text, *suffix])
        return [*prefix, text, *suffix]


def _affix(entry: Json, field: str) -> list[str]:
    """INV-10: an empty affix is no argument."""
    affix = _text(entry, field).strip()
    return [affix] if affix else []


def _names(raw: Any) -> list[str]:
    if isinstance(raw, str):
        return [raw]
    return [name for name in raw if isinstance(name, str)] if isinstance(raw, list | tuple) else []


def _text(entry: Json, field: str) -> str:
    """A missing string is empty."""
    raw = entry.get(field)
    if raw is not None and not isinstance(raw, str):
        raise InvalidInvocation(f"The application has an argument whose {field!r} is not a text.")
    return raw or ""
