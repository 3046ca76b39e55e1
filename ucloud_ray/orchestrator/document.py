"""UCloud's YAML for tools and applications (`tool: v1`, `application: v1`) -> the JSON of the catalogue. Pure.

What is written in a document and what the catalogue shows differ in small ways: a bare word in `invocation` is a
`word`, `flag` is `bool_flag`, `vars` may be one name, parameters are a map. Everything else is checked by the wire
models, so that a job never carries an application which a provider cannot read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from ucloud_ray.orchestrator.document_parts import (
    authors,
    integer,
    invocation_part,
    mapping,
    parameter,
    sequence,
    string,
    strings,
)
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.readable import first_problem
from ucloud_ray.wire.applications import Application, Tool
from ucloud_ray.wire.common import NameAndVersion

BACKENDS = ("DOCKER", "SINGULARITY", "VIRTUAL_MACHINE", "NATIVE")
_TYPES = ("BATCH", "WEB", "VNC")
_MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class ToolDocument:
    key: NameAndVersion
    description: dict[str, Any]
    """`tool.description` of the catalogue."""


@dataclass(frozen=True, slots=True)
class ApplicationDocument:
    key: NameAndVersion
    tool: NameAndVersion
    metadata: dict[str, Any]
    invocation: dict[str, Any]
    """Without `tool`, which the catalogue resolves."""
    tags: list[str]


def parse_document(text: str) -> ToolDocument | ApplicationDocument:
    """Raises `BadRequest` with the place and the remedy."""
    document = _load(text)
    for kind, parse in (("tool", _tool), ("application", _application)):
        if document.get(kind) == "v1":
            return parse(document)
    raise BadRequest("The document must begin with `tool: v1` or `application: v1`.")


def _load(text: str) -> Mapping[str, Any]:
    if len(text) > _MAX_CHARACTERS:
        raise BadRequest("The document is too large for a tool or an application.")
    try:
        _check_shape(text)
        return mapping(yaml.safe_load(text), "document")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadRequest(f"The document is not valid YAML: {' '.join(str(error).split())[:300]}") from error


def _check_shape(text: str) -> None:
    """Looks at the stream of events before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            # A few nested aliases unfold to gigabytes, and no document of UCloud uses them.
            raise BadRequest("YAML aliases (`*name`) are not allowed in a document.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise BadRequest("The YAML is nested too deeply for a tool or an application.")


def _tool(document: Mapping[str, Any]) -> ToolDocument:
    key = _key(document, "document")
    backend = string(document.get("backend"), "backend", "DOCKER")
    _one_of(backend, BACKENDS, "backend")
    image = string(document.get("image"), "image", "") or string(document.get("container"), "container", "")
    if backend == "DOCKER" and not image:
        raise BadRequest("image: a tool with the backend DOCKER must name a container image")
    providers = document.get("supportedProviders")
    description = {
        "info": key.model_dump(),
        "container": None,
        "defaultNumberOfNodes": integer(document.get("defaultNumberOfNodes"), "defaultNumberOfNodes", 1),
        "defaultTimeAllocation": _duration(document.get("defaultTimeAllocation") or document.get("defaultMaxTime")),
        "requiredModules": strings(document.get("requiredModules"), "requiredModules"),
        "authors": authors(document),
        "title": string(document.get("title"), "title", key.name),
        "description": string(document.get("description"), "description", ""),
        "backend": backend,
        "license": string(document.get("license"), "license", ""),
        "image": image or None,
        "supportedProviders": None if providers is None else strings(providers, "supportedProviders"),
    }
    _check(Tool, {"description": description})
    return ToolDocument(key, description)


def _application(document: Mapping[str, Any]) -> ApplicationDocument:
    key = _key(document, "document")
    tool = _key(mapping(document.get("tool"), "tool"), "tool")
    metadata = {
        **key.model_dump(),
        "authors": authors(document),
        "title": string(document.get("title"), "title", key.name),
        "description": string(document.get("description"), "description", ""),
        "website": document.get("website"),
        "public": True,
    }
    invocation = _invocation(document)
    _check(Application, {"metadata": metadata, "invocation": {**invocation, "tool": tool.model_dump()}})
    return ApplicationDocument(key, tool, metadata, invocation, strings(document.get("tags"), "tags"))


def _invocation(document: Mapping[str, Any]) -> dict[str, Any]:
    kind = string(document.get("applicationType"), "applicationType", "BATCH")
    _one_of(kind, _TYPES, "applicationType")
    for name in ("web", "vnc"):
        if document.get(name) is not None and kind != name.upper():
            raise BadRequest(f"{name}: only an application of the type {name.upper()} may have it")
    parameters = _parameters(document)
    return {
        "invocation": [
            invocation_part(part, f"invocation[{index}]")
            for index, part in enumerate(sequence(document.get("invocation"), "invocation"))
        ],
        "parameters": parameters,
        "outputFileGlobs": strings(document.get("outputFileGlobs"), "outputFileGlobs") or ["*"],
        "applicationType": kind,
        "vnc": document.get("vnc"),
        "web": document.get("web"),
        "ssh": document.get("ssh"),
        "container": document.get("container"),
        "environment": _environment(document),
        "allowAdditionalMounts": document.get("allowAdditionalMounts"),
        "allowAdditionalPeers": document.get("allowAdditionalPeers"),
        "allowMultiNode": document.get("allowMultiNode") or False,
        "allowPublicIp": document.get("allowPublicIp") or False,
        "allowPublicLink": document.get("allowPublicLink"),
        "fileExtensions": strings(document.get("fileExtensions"), "fileExtensions"),
        "licenseServers": strings(document.get("licenseServers"), "licenseServers"),
    }


def _parameters(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    declared = mapping(document.get("parameters") or {}, "parameters")
    return [parameter(string(name, "parameters", ""), value) for name, value in declared.items()]


def _environment(document: Mapping[str, Any]) -> dict[str, Any] | None:
    if document.get("environment") is None:
        return None
    variables = mapping(document["environment"], "environment")
    return {str(name): invocation_part(value, f"environment.{name}") for name, value in variables.items()}


def _key(document: Mapping[str, Any], where: str) -> NameAndVersion:
    name, version = (string(document.get(part), f"{where}.{part}", "") for part in ("name", "version"))
    if not name or not version:
        raise BadRequest(f"{where}: name and version are required")
    return NameAndVersion(name=name, version=version)


def _duration(value: Any) -> dict[str, int]:
    parts = mapping(value if value is not None else {"hours": 1}, "defaultTimeAllocation")
    return {part: integer(parts.get(part), f"defaultTimeAllocation.{part}", 0) for part in _DURATION_PARTS}


_DURATION_PARTS = ("hours", "minutes", "seconds")


def _one_of(value: str, allowed: Iterable[str], where: str) -> None:
    if value not in allowed:
        raise BadRequest(f"{where}: {value!r} is not one of {', '.join(allowed)}")


def _check(model: type[Tool] | type[Application], content: dict[str, Any]) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise BadRequest(first_problem(error)) from error
