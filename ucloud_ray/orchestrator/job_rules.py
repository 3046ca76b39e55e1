"""May this job be created? Specification, application and support -> a draft, or the reason why not. Pure.

The checks are those of UCloud/Core (end-user-api 4.2). Ranges, enumerations, multi-node and files are the provider's
to judge (O10).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.mounts import check_targets, wished_files
from ucloud_ray.orchestrator.catalogue import CatalogueEntry
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.job_record import Draft
from ucloud_ray.orchestrator.products import BACKEND_KEYS, Support
from ucloud_ray.wire.applications import ApplicationParameter
from ucloud_ray.wire.common import SimpleDuration, to_wire
from ucloud_ray.wire.jobs import JobSpecification
from ucloud_ray.wire.values import AppParameterValue, UnknownValue

NAME = re.compile(r"[\w ():\-]{1,200}")
SYNCTHING = "syncthing"
INJECTED = "_injected_"
"""Names of dynamic parameters; the application does not declare them."""
MAX_LABELS = 64
MAX_LABEL_LENGTH = 1_024
"""Of a name, and of a value."""
MAX_REPLICAS = 2**31 - 1
MAX_ALLOCATION_MILLIS = 100 * 365 * 24 * 3600 * 1000

_ACCEPTS = {
    "input_file": "file",
    "input_directory": "file",
    "text": "text",
    "textarea": "text",
    "enumeration": "text",
    "integer": "integer",
    "floating_point": "floating_point",
    "boolean": "boolean",
    "peer": "peer",
    "license_server": "license_server",
    "ingress": "ingress",
    "network_ip": "network",
    "workflow": "workflow",
    "modules": "modules",
    "private_network": "private_network",
}
"""Type of a parameter to the type of its value (models 8)."""
_SAME_AS = {"textarea": "text", "bool": "boolean"}
_IN_RESOURCES = frozenset({"file", "peer", "block_storage", "network", "ingress", "private_network", "license_server"})


def draft_of(
    spec: JobSpecification, entry: CatalogueEntry, support: Support, created_by: str, project: str | None = None
) -> Draft:
    """Raises `BadRequest`; the text names the field."""
    _check_text(to_wire(spec), "")
    _check_name(spec.name)
    _check_application(spec)
    _check_replicas(spec)
    _check_backend(entry, support)
    _check_ssh(spec, entry)
    check_parameters(entry.parsed.invocation.parameters, spec.parameters or {})
    _check_resources(spec)
    _check_mount_paths(spec)
    check_labels(spec.labels or {})
    return Draft(
        created_by=created_by,
        project=project,
        product=spec.product,
        application_name=spec.application.name,
        application_version=spec.application.version,
        title=spec.name or None,
        specification=_stored(spec),
        time_allocation=_allocation(spec.time_allocation, entry.backend),
        restart_on_exit=bool(spec.restart_on_exit),
        backend=entry.backend,
    )


def check_text(text: str, where: str) -> None:
    """Raises `BadRequest` for what no table of ours could hold."""
    _check_text(text, where)


def registered_draft(spec: JobSpecification, backend: str, created_by: str, project: str | None) -> Draft:
    """Of a job that runs at its provider already: what it asks for is not judged any more, only what a table can hold
    (control-api 6). Raises `BadRequest`."""
    _check_text(to_wire(spec), "spec")
    _check_text(created_by, "createdBy")
    _check_text(project or "", "project")
    _check_replicas(spec)
    check_labels(spec.labels or {})
    return Draft(
        created_by=created_by,
        project=project or None,
        product=spec.product,
        application_name=spec.application.name,
        application_version=spec.application.version,
        title=spec.name or None,
        specification=_stored(spec),
        time_allocation=_allocation(spec.time_allocation, backend),
        backend=backend,
    )


def _check_replicas(spec: JobSpecification) -> None:
    if not 1 <= spec.replicas <= MAX_REPLICAS:
        raise BadRequest("replicas: a job needs at least one node")


def _check_application(spec: JobSpecification) -> None:
    """G: it has an API of its own, and would be started a second time."""
    if spec.application.name == SYNCTHING:
        raise BadRequest(f"application: {SYNCTHING} cannot be started as a job")


def _check_mount_paths(spec: JobSpecification) -> None:
    """As the provider will (ENV-14), before anything is stored."""
    try:
        files = wished_files(_objects(spec.resources or []), dict(_named_objects(spec.parameters or {})))
        check_targets(files)
    except InvalidInvocation as error:
        raise BadRequest(f"resources: {error}") from error


def _objects(values: list[AppParameterValue]) -> list[Mapping[str, Any]]:
    return [to_wire(value) for value in values]


def _named_objects(values: Mapping[str, AppParameterValue]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in values.items():
        yield name, to_wire(value)


def check_parameters(declared: list[ApplicationParameter], given: Mapping[str, AppParameterValue]) -> None:
    """Unknown, of the wrong type, or mandatory and missing."""
    by_name = {parameter.name: parameter for parameter in declared}
    for name, value in given.items():
        parameter = by_name.get(name)
        if parameter is None and not (name.startswith(INJECTED) and _kind(value) in _ACCEPTS.values()):
            raise BadRequest(f"parameters.{name}: the application has no parameter of this name")
        if parameter is not None and _kind(value) != _ACCEPTS.get(parameter.type):
            raise BadRequest(f"parameters.{name}: must be a value of the type {_ACCEPTS.get(parameter.type, 'none')}")
    for name, parameter in by_name.items():
        if name not in given and _is_mandatory(parameter):
            raise BadRequest(f"parameters.{name}: is missing; the application needs a value")


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises `BadRequest` for what no table of ours could hold or find again."""
    if len(labels) > MAX_LABELS:
        raise BadRequest(f"labels: a job has at most {MAX_LABELS} labels")
    for name, value in labels.items():
        if not name or len(name) > MAX_LABEL_LENGTH or len(value) > MAX_LABEL_LENGTH or "\0" in name + value:
            raise BadRequest(
                f"labels: names and values are texts of at most {MAX_LABEL_LENGTH} characters without NUL, and a name "
                "is not empty"
            )


def _kind(value: AppParameterValue) -> str:
    return _SAME_AS.get(value.type, value.type)


def _is_mandatory(parameter: ApplicationParameter) -> bool:
    return not parameter.optional and parameter.default_value is None and parameter.type != "readme"


def _check_text(value: Any, where: str) -> None:
    """NUL ends a text for the system calls that start a job, and PostgreSQL cannot store it."""
    for place, text in _texts(value, where):
        if "\0" in text:
            raise BadRequest(f"{place}: must not contain a NUL character")


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield f"name of an entry in {where}", name
            yield from _texts(entry, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts(entry, f"{where}[{index}]")


def _check_name(name: str | None) -> None:
    if name and not NAME.fullmatch(name):
        raise BadRequest(
            "name: only letters, digits, '_', blanks, '(', ')', ':' and '-' are allowed, at most 200 characters"
        )


def _check_backend(entry: CatalogueEntry, support: Support) -> None:
    if entry.backend not in BACKEND_KEYS or not support.has(entry.backend, "enabled"):
        raise BadRequest(
            f"application: it needs the backend {entry.backend}, which this machine type does not support; "
            "choose another product"
        )


def _check_ssh(spec: JobSpecification, entry: CatalogueEntry) -> None:
    ssh = entry.parsed.invocation.ssh
    if spec.ssh_enabled and (ssh is None or ssh.mode == "DISABLED"):
        raise BadRequest("sshEnabled: this application does not support SSH")


def _check_resources(spec: JobSpecification) -> None:
    for index, value in enumerate(spec.resources or []):
        check_resource(value, f"resources[{index}]")


def check_resource(value: AppParameterValue, where: str) -> None:
    """Raises `BadRequest` for what no job can have."""
    if isinstance(value, UnknownValue) or value.type not in _IN_RESOURCES:
        raise BadRequest(f"{where}: a value of the type {value.type!r} cannot be attached to a job")
    _check_text(to_wire(value), where)


def _allocation(given: SimpleDuration | None, backend: str) -> int | None:
    if given is None:
        return None
    if min(given.hours, given.minutes, given.seconds) < 0 or given.millis <= 0:
        raise BadRequest("timeAllocation: Time allocated for job is too short")
    if given.millis > MAX_ALLOCATION_MILLIS:
        raise BadRequest("timeAllocation: must not be longer than a hundred years")
    return None if backend == "VIRTUAL_MACHINE" else given.millis


def _stored(spec: JobSpecification) -> dict[str, Any]:
    """In the documented form. `null` parameters and resources stay `null` (O22)."""
    shown = to_wire(spec)
    for field in ("hostname", "labels"):
        if not shown[field]:
            del shown[field]
    for value in [*(shown["parameters"] or {}).values(), *(shown["resources"] or [])]:
        _drop_later_fields(value)
    return shown


def _drop_later_fields(value: dict[str, Any]) -> None:
    # Fields that only the current Core has, when they say nothing.
    for field in ("mountPath", "port", "tls"):
        if field in value and not value[field]:
            del value[field]
