"""A task whose command is a template becomes one whose command is a script (INV-33). Called beside the driver.

A template that fails, hangs or eats memory becomes a script that prints why: the mistake of an application's author is
not the scheduler's fault, and the log is where an author looks (INV-41).
"""

from __future__ import annotations

from dataclasses import replace

from runtimes.errors import InvalidTask
from runtimes.templating import process
from runtimes.templating.quoting import quoted
from runtimes.templating.rendered import Interfaces, Rendered, RenderLimits, TemplateFailed
from runtimes.types import FileRef, TaskSpec

SCRIPT = "job.sh"
"""Name among the task's files."""
_FIRST_LINE = "#!/usr/bin/env bash\n"
_NONE = Interfaces()
_LIMITS = RenderLimits()


async def render(spec: TaskSpec, limits: RenderLimits = _LIMITS) -> tuple[TaskSpec, Interfaces]:
    """The task without templates, and the interfaces that they declared. Without templates: the very same task.

    Raises `errors.StartFailed` if nothing can be rendered on this machine, `errors.InvalidTask` for a variable that
    cannot be rendered where the command is no template: nothing would print the reason there.
    """
    if spec.template is None and not spec.environment_templates:
        return spec, _NONE
    try:
        rendered = await process.ask(_request(spec, limits), limits)
    except TemplateFailed as failed:
        if spec.template is None:
            raise InvalidTask(f"a template of the application is wrong. {failed.why}") from failed
        rendered = Rendered(_complaint(failed.why), dict.fromkeys(spec.environment_templates, ""))
    return _applied(spec, rendered), rendered.interfaces


def _request(spec: TaskSpec, limits: RenderLimits) -> dict[str, object]:
    """All templates of a task have one context."""
    templates = [*([spec.template] if spec.template else []), *spec.environment_templates.values()]
    return {
        "template": spec.template.text if spec.template else None,
        "variables": {name: template.text for name, template in spec.environment_templates.items()},
        "context": dict(templates[0].context),
        "most": limits.text_characters,
    }


def _applied(spec: TaskSpec, rendered: Rendered) -> TaskSpec:
    spec = replace(
        spec,
        environment={**spec.environment, **rendered.variables},
        template=None,
        environment_templates={},
    )
    if rendered.body is None:
        return spec
    script = (_FIRST_LINE + rendered.body).encode()
    return replace(spec, argv=("bash", FileRef(SCRIPT)), files={**spec.files, SCRIPT: script}, requires="bash")


def _complaint(why: str) -> str:
    text = f"The command of this application could not be made from its template. Its author must correct it.\n{why}"
    return f"printf '%s\\n' {quoted(text)} >&2\n"
