"""What Linux can hand to a program: checked when a job is accepted, so that a user reads it before anything starts.

Used by `wire.convert`. The kernel's own answer would come at the start, as "Argument list too long".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.job import EnvRef

MAX_ARGUMENT = 128 * 1024 - 1
"""Bytes of one argument or one `name=value`: MAX_ARG_STRLEN of the kernel, less the NUL."""

MAX_TOTAL = 2 * 1024 * 1024 - 128 * 1024
"""Bytes of all arguments and variables: a quarter of the usual stack limit, less what provider and image add."""

_POINTER = 8


def require_startable(argv: Iterable[str | EnvRef], environment: Mapping[str, str]) -> None:
    """Raises `InvalidInvocation` if no program can be started with these. An argument that is the value of a variable
    is counted with that."""
    arguments = [len(argument.encode()) for argument in argv if isinstance(argument, str)]
    variables = {name: len(f"{name}={value}".encode()) for name, value in environment.items()}
    longest = max(arguments, default=0)
    if longest > MAX_ARGUMENT:
        raise InvalidInvocation(
            f"An argument of the program has {longest} bytes, and no argument may have more than {MAX_ARGUMENT}. "
            "Put long texts into a file."
        )
    for name, length in variables.items():
        if length > MAX_ARGUMENT:
            raise InvalidInvocation(f"The variable {name} has {length} bytes. The most is {MAX_ARGUMENT}; use a file.")
    total = sum(length + 1 + _POINTER for length in (*arguments, *variables.values()))
    if total > MAX_TOTAL:
        raise InvalidInvocation(
            f"All arguments and variables together have {total} bytes, and no program can be given more than "
            f"{MAX_TOTAL}. Put long texts into a file."
        )
