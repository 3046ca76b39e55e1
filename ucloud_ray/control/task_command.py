"""What a rank runs and which variables it has, as far as is known before it is on its machine (INV-16, INV-22, INV-35).

Called by `task_spec`. What only the image or the machine can tell stays a reference; templates stay templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtimes.types import Template, VariableRef
from ucloud_ray.domain.job import EnvRef, Job, Launch, Machine

SHELL = "bash"
_WITH_INIT_SCRIPT = (SHELL, "-c", 'bash "$0"; exec "$@"')
_INIT_SCRIPT_LINE = "bash {{ ucloud.initScript }};\n"
"""With its semicolon, because a template may swallow the line break before it."""


@dataclass(frozen=True, slots=True)
class Command:
    """Fields of `TaskSpec`, under their names there."""

    argv: tuple[str | VariableRef, ...]
    environment: Mapping[str, str]
    references: Mapping[str, str] = field(default_factory=dict)
    template: Template | None = None
    environment_templates: Mapping[str, Template] = field(default_factory=dict)
    requires: str | None = None


def command_of(job: Job, rank: int, provided: Mapping[str, str]) -> Command:
    """`provided`: the provider's variables of this rank; they win (INV-22)."""
    launch = job.spec.launch
    known, references = _references(launch, provided)
    context = _context(job, rank) if launch.template is not None or launch.environment_templates else {}
    templates = {name: text for name, text in launch.environment_templates.items() if name not in provided}
    return Command(
        argv=_arguments(launch),
        environment={**launch.environment, **known, **provided},
        references=references,
        template=None if launch.template is None else Template(_script(launch, launch.template), context),
        environment_templates={name: Template(text, context) for name, text in templates.items()},
        requires=SHELL if launch.init_script is not None else None,
    )


def _references(launch: Launch, provided: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Values of the references that are known here, and the rest. One to another variable of the application is the
    empty string; one to its own name means the image's."""
    own = {*launch.environment, *launch.references, *launch.environment_templates}
    known: dict[str, str] = {}
    open_: dict[str, str] = {}
    for name, other in launch.references.items():
        if name in provided:
            continue
        if other in provided or (other in own and other != name):
            known[name] = provided.get(other, "")
        else:
            open_[name] = other
    return known, open_


def _arguments(launch: Launch) -> tuple[str | VariableRef, ...]:
    words = tuple(VariableRef(word.variable) if isinstance(word, EnvRef) else word for word in launch.argv)
    if launch.init_script is None or launch.template is not None:
        return words
    return (*_WITH_INIT_SCRIPT, launch.init_script, *words)


def _script(launch: Launch, template: str) -> str:
    return template if launch.init_script is None else _INIT_SCRIPT_LINE + template


def _context(job: Job, rank: int) -> dict[str, Any]:
    """INV-35."""
    spec = job.spec
    ucloud: dict[str, Any] = {
        "jobId": job.id,
        "machine": _machine(spec.machine),
        "nodes": spec.replicas,
        "rank": rank,
        "application": {"name": spec.application_name, "version": spec.application_version},
        "initScript": spec.launch.init_script,
    }
    return {**spec.launch.template_context, "ucloud": ucloud}


def _machine(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.product.id,
        "category": machine.product.category,
        "cpu": _number(machine.cpu_milli, 1000),
        "cpuModel": machine.cpu_model,
        "memoryInGigs": _number(machine.memory_bytes, 10**9),
        "memoryModel": machine.memory_model,
        "gpu": machine.gpu,
        "gpuModel": machine.gpu_model,
    }


def _number(amount: int, unit: int) -> int | float:
    """Whole numbers stay whole (INV-42)."""
    return amount // unit if amount % unit == 0 else amount / unit
