"""The first thing that is wrong with a request, in one line that names the place."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # Union members show up as parts of the path; UCloud's names are camelCase, so they do not clash.
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{path.removeprefix('.') or 'body'}: {problem['msg']}"
