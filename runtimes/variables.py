"""References among variables and arguments, replaced by what they refer to (INV-16). Pure; called by every driver.

Only here is everything known that a reference may mean: the provider's variables of the rank, the image's own, and
where the task finds its files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace

from runtimes.types import FileRef, TaskSpec, VariableRef


def has_references(spec: TaskSpec) -> bool:
    """Whether `resolve` would change anything."""
    return bool(spec.references) or not all(isinstance(word, str) for word in spec.argv)


def resolve(spec: TaskSpec, inherited: Mapping[str, str], files_at: str = "/etc/ucloud") -> TaskSpec:
    """The task without references.

    A reference to a variable that nobody sets is the empty string, one to another reference of the application too.

    Args:
        inherited: variables that it has although nobody gave them: the image's, or the minimum of a process.
        files_at: the folder where the task sees its `files`.
    """
    given = {**inherited, **spec.environment}
    environment = {**spec.environment, **{name: given.get(other, "") for name, other in spec.references.items()}}
    final = {**inherited, **environment}
    argv = tuple(_word(word, final, files_at) for word in spec.argv)
    return replace(spec, argv=argv, environment=environment, references={})


def _word(word: str | VariableRef | FileRef, variables: Mapping[str, str], files_at: str) -> str:
    match word:
        case VariableRef(name=name):
            return variables.get(name, "")
        case FileRef(name=name):
            return posixpath.join(files_at, name)
        case text:
            return text
