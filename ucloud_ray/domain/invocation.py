"""From an application and the user's values to a command line and variables (job-semantics section 2).

Called when a job is accepted, with plain JSON: `parameters` is `invocation.parameters`, `invocation` is
`invocation.invocation`, `environment` is `invocation.environment`, `values` is `specification.parameters`. Nothing is
quoted and nothing is expanded, because no shell stands in between (INV-23, INV-25). Templates are not rendered here but
beside the task, and references to variables are replaced there, too: only there is everything known (INV-16, INV-34).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ucloud_ray.domain import workflows
from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.formatting import PathMap, license_texts, text_of
from ucloud_ray.domain.job import EnvRef
from ucloud_ray.domain.paths import require_passable
from ucloud_ray.domain.values import Json, TypedValue, resolve

__all__ = [
    "AppCommand",
    "AppEnvironment",
    "InvalidInvocation",
    "build_argv",
    "build_command",
    "build_environment",
    "build_template",
    "template_context",
]

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Argument = str | EnvRef


class AppEnvironment(NamedTuple):
    """The application's own variables (INV-18): `Launch.environment`, `.references` and `.environment_templates`."""

    variables: Mapping[str, str]
    references: Mapping[str, str]
    """Variable to the variable of the provider or the image whose value it takes (INV-16)."""
    templates: Mapping[str, str] = {}
    """Variable to the template that its value is rendered from (INV-21)."""


@dataclass(frozen=True, slots=True)
class AppCommand:
    """What an application and its user's values say about the command, whole: the fields of `Launch`."""

    argv: tuple[Argument, ...] = ()
    template: str | None = None
    environment: AppEnvironment = field(default_factory=lambda: AppEnvironment({}, {}))
    context: Mapping[str, Any] = field(default_factory=dict)
    """Empty unless there is a template."""


def build_command(
    parameters: Sequence[Json],
    invocation: Sequence[Json],
    environment: Mapping[str, Json] | None,
    values: Mapping[str, Json],
    map_path: PathMap,
) -> AppCommand:
    """All of the below; licences are known by what their values say (W16). Raises `InvalidInvocation`."""
    licenses = license_texts(values)
    _require_licenses(_resolved(parameters, values), map_path, licenses)
    variables = build_environment(parameters, environment, values, map_path, licenses)
    template = build_template(parameters, invocation, values)
    templated = template is not None or variables.templates
    return AppCommand(
        argv=build_argv(parameters, invocation, values, map_path, licenses),
        template=template,
        environment=variables,
        context=template_context(parameters, values, map_path, licenses) if templated else {},
    )


def build_argv(
    parameters: Sequence[Json],
    invocation: Sequence[Json],
    values: Mapping[str, Json],
    map_path: PathMap,
    licenses: Mapping[str, str] | None = None,
) -> tuple[Argument, ...]:
    """The argument vector; empty if there are no entries (INV-27), and for a template.

    `map_path` is asked with normalised UCloud paths; `licenses` is licence id to text. Raises `InvalidInvocation`.
    """
    if _template_of(invocation) is not None:
        return ()
    writer = _Writer(_resolved(parameters, values), map_path, licenses or {})
    return tuple(argument for entry in invocation for argument in writer.write(entry))


def build_template(parameters: Sequence[Json], invocation: Sequence[Json], values: Mapping[str, Json]) -> str | None:
    """The template that stands in place of a command line, what workflows add included (INV-17, INV-43); None if there
    is none. Raises `InvalidInvocation`."""
    template = _template_of(invocation)
    additions = workflows.templates(parameters, values)
    if template is None and additions:
        raise InvalidInvocation("The application is not made for workflows. Start it without one.")
    return None if template is None else "\n".join([template, *additions])


def template_context(
    parameters: Sequence[Json],
    values: Mapping[str, Json],
    map_path: PathMap,
    licenses: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What templates know of the parameters: numbers and truths as such, all else as text, absent ones as None
    (INV-35). Arguments as for `build_argv`."""
    declared = _declared(parameters, values)
    resolved = resolve(declared, values)
    context: dict[str, Any] = {str(parameter["name"]): None for parameter in declared}
    for name, typed in resolved.items():
        bare = typed.parameter["type"] in ("integer", "floating_point", "boolean")
        context[name] = typed.value if bare else text_of(typed, map_path, licenses or {})
    return context


def build_environment(
    parameters: Sequence[Json],
    environment: Mapping[str, Json] | None,
    values: Mapping[str, Json],
    map_path: PathMap,
    licenses: Mapping[str, str] | None = None,
) -> AppEnvironment:
    """INV-18 to INV-22; arguments as for `build_argv`."""
    writer = _Writer(_resolved(parameters, values), map_path, licenses or {})
    variables: dict[str, str] = {}
    references: dict[str, str] = {}
    templates: dict[str, str] = {}
    for name, entry in (environment or {}).items():
        _require_name(name)
        if (template := _template_of([entry])) is not None:
            templates[name] = template
            continue
        match writer.write(entry):
            case [EnvRef(variable=variable)]:
                references[name] = variable
            case arguments:
                variables[name] = " ".join(str(argument) for argument in arguments)
    return AppEnvironment(variables, references, templates)


def _require_licenses(resolved: Mapping[str, TypedValue], map_path: PathMap, licenses: Mapping[str, str]) -> None:
    """Also of those that the command does not mention: a job without its licence is not what the user asked for."""
    for typed in resolved.values():
        if typed.parameter["type"] == "license_server":
            text_of(typed, map_path, licenses)


def _resolved(parameters: Sequence[Json], values: Mapping[str, Json]) -> dict[str, TypedValue]:
    return resolve(_declared(parameters, values), values)


def _declared(parameters: Sequence[Json], values: Mapping[str, Json]) -> list[Json]:
    return [*parameters, *workflows.inputs(parameters, values)]


def _template_of(invocation: Sequence[Json]) -> str | None:
    """INV-17, Q9."""
    if not any(entry.get("type") == "jinja" for entry in invocation):
        return None
    if len(invocation) > 1:
        raise InvalidInvocation("The application mixes a template with other arguments. Its author must correct it.")
    template = _text(invocation[0], "template")
    require_passable(template, "The template of the application")
    return template


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
