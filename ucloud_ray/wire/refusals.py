"""What no job may ask for, with the text that its user reads. One small check per rule; `convert` runs them all.

The Core checks little of this (O9, O10), so nothing is taken for granted.
"""

from __future__ import annotations

from itertools import chain

from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.requests import MAX_ALLOCATION, is_possible_id
from ucloud_ray.wire.applications import Application, ApplicationParameter, ToolDescription
from ucloud_ray.wire.catalogue import Catalogue
from ucloud_ray.wire.jobs import Job, JobSpecification
from ucloud_ray.wire.values import WorkflowValue

MAX_REPLICAS = 10_000
"""Far beyond any cluster of ours; keeps a typing error from costing memory before the scheduler sees it."""

_NOT_OFFERED = {
    "network": "attach public IP addresses",
    "ingress": "attach public links",
    "private_network": "attach private networks",
    "block_storage": "attach block storage",
    "modules": "load software modules",
}
_EXCLUSIVE = {"network": "A public IP address", "ingress": "A public link"}
_ATTACHABLE = frozenset({"file", "peer", "api_server"})
"""Resources that a job may have. `api_server` is a secret for other providers: never kept, never logged."""


class ConversionRefused(Exception):
    """The job cannot be accepted as it is; `why` is a text for its user. Answered with 400."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def check_identity(job: Job) -> None:
    if not is_possible_id(job.id):
        raise ConversionRefused("The id of the job is not one that UCloud gives")
    if not job.owner.created_by:
        raise ConversionRefused("The job says nothing about its owner")


def require_machine(specification: JobSpecification, catalogue: Catalogue) -> Machine:
    """The machine that the job asks for (SCH-4, provider-api 6.1)."""
    product = specification.product
    if product.provider != catalogue.provider_id:
        raise ConversionRefused(f"The machine {product.id!r} belongs to another provider; choose one of this provider")
    machine = catalogue.machine(product)
    if machine is None:
        raise ConversionRefused(f"This provider has no machine {product.id!r} ({product.category}); choose another one")
    return machine


def check_replicas(specification: JobSpecification, application: Application, backend: str) -> None:
    replicas = specification.replicas
    if not 1 <= replicas <= MAX_REPLICAS:
        raise ConversionRefused(f"The number of nodes must be at least 1 and at most {MAX_REPLICAS}, not {replicas}")
    if replicas > 1 and backend == "VIRTUAL_MACHINE":
        raise ConversionRefused("A virtual machine can only have one node")  # ENV-21
    if replicas > 1 and not application.invocation.allow_multi_node:
        raise ConversionRefused("This application can only use one node")  # O10


def check_time(specification: JobSpecification) -> None:
    """TIME-2."""
    time = specification.time_allocation
    if time is not None and time.millis <= 0:
        raise ConversionRefused("The time of the job must be more than zero; leave it out for a job without an end")
    if time is not None and time.millis > MAX_ALLOCATION:
        raise ConversionRefused("The time of the job is too long; leave it out for a job without an end")


def check_backend(tool: ToolDescription) -> None:
    """Which kinds of tools run here, and whether this one says what to run (ENV-53, ENV-56)."""
    if tool.backend not in ("DOCKER", "VIRTUAL_MACHINE", "NATIVE"):
        raise ConversionRefused(f"This provider cannot run applications of the kind {tool.backend}; choose another one")
    if tool.backend != "NATIVE" and not image_of(tool):
        raise ConversionRefused("The application does not say which image to run; its author must add one")
    loads = tool.required_modules or (tool.load_instructions and tool.load_instructions.applications)
    if tool.backend == "NATIVE" and loads:
        raise ConversionRefused("The application needs software modules, which this provider does not have")  # ENV-30


def check_options(specification: JobSpecification, application: Application, catalogue: Catalogue) -> None:
    if specification.restart_on_exit and not catalogue.accepts_restart_on_exit:
        raise ConversionRefused("This provider does not restart jobs; turn off the restart of this job")  # LC-28
    mode = application.invocation.ssh.mode if application.invocation.ssh else "DISABLED"
    if specification.ssh_enabled and mode not in ("OPTIONAL", "MANDATORY"):
        raise ConversionRefused("This application has no SSH server; turn off SSH for this job")  # RES-17
    if mode == "MANDATORY":  # also without sshEnabled (O10)
        raise ConversionRefused("This application needs access by SSH, which this provider does not offer")
    if specification.ssh_enabled:
        raise ConversionRefused("This provider does not offer access by SSH; turn off SSH for this job")


def check_resources(specification: JobSpecification, application: Application) -> None:
    """RES-1, RES-3, RES-25. Values of parameters that the application does not declare are ignored (INV-3)."""
    names = {parameter.name for parameter in declared(application, specification)}
    given = [value.type for name, value in (specification.parameters or {}).items() if name in names]
    attached = [value.type for value in specification.resources or []]
    for kind in (*given, *attached):
        if specification.replicas > 1 and kind in _EXCLUSIVE:
            raise ConversionRefused(f"{_EXCLUSIVE[kind]} can only be used by jobs with one node")
        if kind in _NOT_OFFERED:
            raise ConversionRefused(f"This provider cannot {_NOT_OFFERED[kind]} yet; start the job without that")
    for kind in attached:
        if kind not in _ATTACHABLE:
            raise ConversionRefused(f"This provider cannot attach a resource of the kind {kind!r} to a job")


def declared(application: Application, specification: JobSpecification) -> list[ApplicationParameter]:
    """The application's own parameters, then those that workflows add (INV-43)."""
    own, values = application.invocation.parameters, specification.parameters or {}
    workflows = (values.get(parameter.name) for parameter in own if parameter.type == "workflow")
    inputs = (workflow.specification.inputs for workflow in workflows if isinstance(workflow, WorkflowValue))
    return [*own, *chain.from_iterable(inputs)]


def image_of(tool: ToolDescription) -> str | None:
    """ENV-53."""
    return tool.image or tool.container or None
