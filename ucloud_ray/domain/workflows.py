"""What a workflow, given as the value of a parameter, adds to an application: parameters and template (INV-43).

A value is `{"type": "workflow", "specification": {"language", "job", "inputs"}}`, as plain JSON. The user wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.paths import require_passable

Json = Mapping[str, Any]

_LANGUAGE = "JINJA2"


def inputs(parameters: Sequence[Json], values: Mapping[str, Json]) -> list[Json]:
    """The parameters that the workflows declare. The application's own, and those of an earlier workflow, win.

    Raises `InvalidInvocation` for a workflow that is not what it should be.
    """
    taken = {parameter["name"] for parameter in parameters}
    found: list[Json] = []
    for name, specification in _given(parameters, values):
        for parameter in _inputs_of(name, specification):
            if parameter["name"] not in taken:
                taken.add(parameter["name"])
                found.append(parameter)
    return found


def templates(parameters: Sequence[Json], values: Mapping[str, Json]) -> list[str]:
    """Their job templates, in the order of the parameters. Raises as `inputs`."""
    return [_template_of(name, specification) for name, specification in _given(parameters, values)]


def _given(parameters: Sequence[Json], values: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for parameter in parameters:
        value = values.get(parameter["name"])
        if parameter["type"] == "workflow" and value is not None and value.get("type") == "workflow":
            specification = value.get("specification")
            yield parameter["name"], specification if isinstance(specification, Mapping) else {}


def _inputs_of(name: str, specification: Json) -> list[Json]:
    declared = specification.get("inputs") or []
    if not isinstance(declared, list) or not all(_is_parameter(entry) for entry in declared):
        raise InvalidInvocation(f"The workflow of the parameter '{name}' has inputs that are no parameters.")
    return declared


def _is_parameter(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str) and isinstance(entry.get("type"), str)


def _template_of(name: str, specification: Json) -> str:
    if (specification.get("language") or _LANGUAGE) != _LANGUAGE:
        raise InvalidInvocation(f"The workflow of the parameter '{name}' is not written in {_LANGUAGE}.")
    job = specification.get("job")
    if not isinstance(job, str):
        raise InvalidInvocation(f"The workflow of the parameter '{name}' has no template for its job.")
    require_passable(job, f"The workflow of the parameter '{name}'")
    return job
