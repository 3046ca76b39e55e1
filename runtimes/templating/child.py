"""The process that renders: one request on standard input, one answer on standard output, both JSON.

Started by `process`, in an isolated Python without an environment. Request and answer:

    {"template": text or null, "variables": {name: text}, "contexts": ..., "most": characters}
    {"body": text or null, "variables": {name: text}, "targets": [...], "defaultName": text or null}
    {"failed": why}       the template is to blame
    {"unusable": why}     this machine is
"""

from __future__ import annotations

import html
import json
import pprint
import random
import sys
import textwrap
import traceback
from collections.abc import Mapping
from typing import Any

from runtimes.templating import confinement, extras, language

Json = dict[str, Any]

MOST_OF_A_REASON = 2000
LOADED = (html, pprint, random, textwrap)
"""What filters of Jinja import when they are used."""
_WARM_UP = ("{{ 'a' | upper }}", "{{ nope + 1 }}", "{{ (")
"""Jinja and Python load some of themselves when they are used: codecs, what explains errors."""


def main(cpu_seconds: int, memory_bytes: int) -> None:
    """Everything that is imported must be so before the confinement, which forbids to open files."""
    try:
        answer = _confined(cpu_seconds, memory_bytes)
    except Exception as error:
        answer = {"unusable": f"{type(error).__name__}: {error}"}
    sys.stdout.buffer.write(json.dumps(answer).encode())
    sys.stdout.buffer.flush()


def _confined(cpu_seconds: int, memory_bytes: int) -> Json:
    for source in _WARM_UP:
        _render({"template": source, "variables": {}, "context": {}, "most": 10})
    sys.meta_path.clear()  # no import finds anything from here on, and no message tells where it looked
    confinement.confine(cpu_seconds, memory_bytes)
    return _render(json.loads(sys.stdin.buffer.read()))


def _render(request: Mapping[str, Any]) -> Json:
    declared = extras.Declared()
    script = language.Dialect(quote=True, declared=declared)
    variable = language.Dialect(quote=False, declared=declared)
    context, most = request["context"], request["most"]
    what = "The command"
    try:
        body = None if request["template"] is None else script.render(request["template"], context, most)
        variables = {}
        for name, source in request["variables"].items():
            what = f"The variable {name}"
            variables[name] = variable.render(source, context, most)
    except Exception as error:
        return {"failed": f"{what}: {_reason(error)}"[:MOST_OF_A_REASON]}
    return {
        "body": body,
        "variables": variables,
        "targets": declared.targets,
        "defaultName": declared.default_name,
    }


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs too much memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or calls itself without end"
    line = getattr(error, "lineno", None) or _line(error)
    message = " ".join(str(getattr(error, "message", None) or error).split()) or type(error).__name__
    return f"line {line}: {message}" if line else message


def _line(error: Exception) -> int | None:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    return lines[-1] if lines else None
