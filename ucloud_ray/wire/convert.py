"""From a `Job` as the Core sends it to what the engine runs. Pure; called by the provider for every `create`.

Machine sizes come from our own configuration and not from the job's copy of the product: what we sell is ours to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ucloud_ray.domain.arguments import require_startable
from ucloud_ray.domain.formatting import PathMap
from ucloud_ray.domain.invocation import AppCommand, InvalidInvocation, build_command
from ucloud_ray.domain.job import Backend, Interface, JobSpec, Launch, Owner
from ucloud_ray.domain.mounts import FileWish, path_in_container, plan_mounts, wished_files
from ucloud_ray.domain.paths import normalise
from ucloud_ray.wire import refusals
from ucloud_ray.wire.applications import (
    Application,
    ContainerDescription,
    ToolDescription,
    VncDescription,
    WebDescription,
)
from ucloud_ray.wire.catalogue import Catalogue
from ucloud_ray.wire.common import to_wire
from ucloud_ray.wire.jobs import Job, JobSpecification
from ucloud_ray.wire.peers import peers_of
from ucloud_ray.wire.refusals import ConversionRefused

__all__ = ["ConversionRefused", "job_spec", "without_secrets"]

INIT_SCRIPT = "ucloud.dk/init-script"
"""Label with the UCloud path of a script that runs before all else (INV-26)."""


def job_spec(job: Job, catalogue: Catalogue) -> JobSpec:
    """Raises `ConversionRefused`."""
    specification = job.specification
    application, tool = _application(job)
    refusals.check_identity(job)
    machine = refusals.require_machine(specification, catalogue)
    _check(specification, application, tool, catalogue)
    time = specification.time_allocation
    return JobSpec(
        owner=Owner(job.owner.created_by, job.owner.project),
        application_name=specification.application.name,
        application_version=specification.application.version,
        application_title=application.metadata.title or specification.application.name,
        machine=machine,
        backend=Backend(tool.backend),
        replicas=specification.replicas,
        launch=_launch(job, application, tool, catalogue),
        name=specification.name or None,
        time_allocation=None if time is None else time.millis,
        restart_on_exit=bool(specification.restart_on_exit),
        interfaces=tuple(_interfaces(application)),
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


def _launch(job: Job, application: Application, tool: ToolDescription, catalogue: Catalogue) -> Launch:
    try:
        return _build_launch(job, application, tool, catalogue)
    except InvalidInvocation as error:
        raise ConversionRefused(error.why) from error


def _build_launch(job: Job, application: Application, tool: ToolDescription, catalogue: Catalogue) -> Launch:
    specification = job.specification
    values = {name: to_wire(value) for name, value in (specification.parameters or {}).items()}
    resources = [to_wire(value) for value in specification.resources or []]
    native = tool.backend == Backend.NATIVE
    init_script = _init_script(specification, tool)
    # A process has no mounts, but its files are checked all the same.
    owner = Owner(job.owner.created_by, job.owner.project)
    mounts = plan_mounts([*wished_files(resources, values), *init_script], catalogue.drive_titles(owner))
    map_path = partial(catalogue.native_path, owner=owner) if native else path_in_container(mounts)
    command = _command(application, tool, values, map_path)
    require_startable(command.argv, command.environment.variables)
    if init_script and not command.argv and command.template is None:
        raise ConversionRefused("The application runs its image as it is; no script can run before that")
    container = application.invocation.container or ContainerDescription()
    opened = _seen(specification.opened_file, map_path) if specification.opened_file else None
    return Launch(
        image=None if native else refusals.image_of(tool),
        argv=command.argv,
        environment=command.environment.variables,
        references=command.environment.references,
        template=command.template,
        environment_templates=command.environment.templates,
        template_context=command.context,
        mounts=mounts,
        change_working_directory=container.change_working_directory,
        run_as_root=container.run_as_root,
        peers=peers_of(job, application),
        init_script=_seen(init_script[0].path, map_path) if init_script else None,
        opened_file=opened,
        unseen_file=specification.opened_file if specification.opened_file and opened is None else None,
    )


def _interfaces(application: Application) -> Iterator[Interface]:
    """A type without its object listens on the usual port (models 7.3)."""
    invocation = application.invocation
    if invocation.web is not None or invocation.application_type == "WEB":
        yield Interface("WEB", (invocation.web or WebDescription()).port)
    if invocation.vnc is not None or invocation.application_type == "VNC":
        desktop = invocation.vnc or VncDescription()
        yield Interface("VNC", desktop.port, desktop.password)


def _command(
    application: Application, tool: ToolDescription, values: Mapping[str, Mapping[str, Any]], map_path: PathMap
) -> AppCommand:
    if tool.backend == Backend.VIRTUAL_MACHINE:  # boots its image; none of this is for it (ENV-26)
        return AppCommand()
    invocation = application.invocation
    command = build_command(
        parameters=[to_wire(parameter) for parameter in invocation.parameters],
        invocation=[to_wire(entry) for entry in invocation.invocation],
        environment={name: to_wire(entry) for name, entry in (invocation.environment or {}).items()},
        values=values,
        map_path=map_path,
    )
    if tool.backend == Backend.NATIVE and not command.argv and command.template is None:
        raise ConversionRefused("The application does not say which program to run; its author must add one")
    return command


def _init_script(specification: JobSpecification, tool: ToolDescription) -> list[FileWish]:
    """INV-26: a file that the job sees, too. A machine has no command that it could run before (ENV-26)."""
    path = (specification.labels or {}).get(INIT_SCRIPT)
    return [FileWish(path, read_only=True)] if path and tool.backend != Backend.VIRTUAL_MACHINE else []


def _seen(path: str, map_path: PathMap) -> str | None:
    """Where the job sees it; None if it does not (RES-24)."""
    return map_path(normalise(path))
