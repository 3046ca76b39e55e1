"""From a `Job` as the Core sends it to what the engine runs. Pure; called by the provider for every `create`.

Machine sizes come from our own configuration and not from the job's copy of the product: what we sell is ours to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ucloud_ray.domain.arguments import require_startable
from ucloud_ray.domain.formatting import PathMap
from ucloud_ray.domain.invocation import AppEnvironment, InvalidInvocation, build_argv, build_environment
from ucloud_ray.domain.job import Backend, EnvRef, JobSpec, Launch, MountRequest, Owner
from ucloud_ray.domain.mounts import path_in_container, plan_mounts, wished_files
from ucloud_ray.domain.paths import normalise
from ucloud_ray.wire import refusals
from ucloud_ray.wire.applications import Application, ContainerDescription, ToolDescription
from ucloud_ray.wire.catalogue import Catalogue
from ucloud_ray.wire.common import to_wire
from ucloud_ray.wire.jobs import Job, JobSpecification
from ucloud_ray.wire.peers import peers_of
from ucloud_ray.wire.refusals import ConversionRefused

__all__ = ["ConversionRefused", "job_spec", "without_secrets"]

OPENED_FILE = "UCLOUD_OPEN_WITH_FILE"
"""RES-24."""

_Values = Mapping[str, Mapping[str, Any]]


def job_spec(job: Job, catalogue: Catalogue) -> JobSpec:
    """Raises `ConversionRefused`."""
    specification = job.specification
    application, tool = _application(job)
    refusals.check_identity(job)
    machine = refusals.require_machine(specification, catalogue)
    _check(specification, application, tool, catalogue)
    time = specification.time_allocation
    owner = Owner(job.owner.created_by, job.owner.project)
    launch = _launch(specification, application, tool, catalogue, owner)
    return JobSpec(
        owner=owner,
        application_name=specification.application.name,
        application_version=specification.application.version,
        application_title=application.metadata.title or specification.application.name,
        machine=machine,
        backend=Backend(tool.backend),
        replicas=specification.replicas,
        launch=replace(launch, peers=peers_of(job, application)),
        name=specification.name or None,
        time_allocation=None if time is None else time.millis,
        restart_on_exit=bool(specification.restart_on_exit),
    )


def without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """The job as received, for keeping (REC-1), without what must not be kept: `api_server` tokens (models 9)."""
    specification = dict(document["specification"])
    if isinstance(specification.get("resources"), list):
        specification["resources"] = [value for value in specification["resources"] if not _is_secret(value)]
    if isinstance(specification.get("parameters"), dict):
        given = specification["parameters"]
        specification["parameters"] = {name: value for name, value in given.items() if not _is_secret(value)}
    return {**document, "specification": specification}


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "api_server"


def _application(job: Job) -> tuple[Application, ToolDescription]:
    application = job.status.resolved_application
    if application is None:
        raise ConversionRefused("The job came without its application; start it again")
    tool = application.invocation.tool.tool
    if tool is None:
        raise ConversionRefused("The application came without its tool; start the job again")
    return application, tool.description


def _check(
    specification: JobSpecification, application: Application, tool: ToolDescription, catalogue: Catalogue
) -> None:
    refusals.check_backend(tool)
    refusals.check_replicas(specification, application, tool.backend)
    refusals.check_time(specification)
    refusals.check_options(specification, application, catalogue)
    refusals.check_resources(specification, application)


# ------------------------------------------------------------------------------------------------------ launch


def _launch(
    specification: JobSpecification,
    application: Application,
    tool: ToolDescription,
    catalogue: Catalogue,
    owner: Owner,
) -> Launch:
    try:
        return _build_launch(specification, application, tool, catalogue, owner)
    except InvalidInvocation as error:
        raise ConversionRefused(error.why) from error


def _build_launch(
    specification: JobSpecification,
    application: Application,
    tool: ToolDescription,
    catalogue: Catalogue,
    owner: Owner,
) -> Launch:
    values = {name: to_wire(value) for name, value in (specification.parameters or {}).items()}
    native = tool.backend == Backend.NATIVE
    mounts = _mounts(specification, values, catalogue)  # a process has none, but its files are checked all the same
    map_path = partial(catalogue.native_path, owner=owner) if native else path_in_container(mounts)
    argv, environment = _command(application, tool, values, map_path)
    require_startable(argv, environment.variables)
    container = application.invocation.container or ContainerDescription()
    return Launch(
        image=None if native else refusals.image_of(tool),
        argv=argv,
        environment={**environment.variables, **_opened_file(specification, map_path)},
        references=environment.references,
        mounts=mounts,
        change_working_directory=container.change_working_directory,
        run_as_root=container.run_as_root,
    )


def _mounts(specification: JobSpecification, values: _Values, catalogue: Catalogue) -> tuple[MountRequest, ...]:
    resources = [to_wire(value) for value in specification.resources or []]
    return plan_mounts(wished_files(resources, values), catalogue.drive_titles)


def _command(
    application: Application, tool: ToolDescription, values: _Values, map_path: PathMap
) -> tuple[tuple[str | EnvRef, ...], AppEnvironment]:
    if tool.backend == Backend.VIRTUAL_MACHINE:  # boots its image; these are not for it (ENV-26)
        return (), AppEnvironment({}, {})
    invocation = application.invocation
    parameters = [to_wire(parameter) for parameter in invocation.parameters]
    entries = [to_wire(entry) for entry in invocation.invocation]
    variables = {name: to_wire(entry) for name, entry in (invocation.environment or {}).items()}
    argv = build_argv(parameters, entries, values, map_path)
    if not argv and tool.backend == Backend.NATIVE:
        raise ConversionRefused("The application does not say which program to run; its author must add one")
    return argv, build_environment(parameters, variables, values, map_path)


def _opened_file(specification: JobSpecification, map_path: PathMap) -> dict[str, str]:
    """RES-24. A file that the job does not see is left out."""
    path = map_path(normalise(specification.opened_file)) if specification.opened_file else None
    return {} if path is None else {OPENED_FILE: path}
