"""References among variables and arguments, replaced by what they refer to (INV-16). Pure; called by every driver.

Only here is everything known that a reference may mean: the provider's variables of the rank, and the image's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runtimes.types import TaskSpec, VariableRef


def resolve(spec: TaskSpec, inherited: Mapping[str, str]) -> TaskSpec:
    """The task without references. `inherited`: variables that it has although nobody gave them, the image's.

    A reference to a variable that nobody sets is the empty string, one to another reference of the application too.
    """
    given = {**inherited, **spec.environment}
    environment = {**spec.environment, **{name: given.get(other, "") for name, other in spec.references.items()}}
    final = {**inherited, **environment}
    argv = tuple(final.get(word.name, "") if isinstance(word, VariableRef) else word for word in spec.argv)
    return replace(spec, argv=argv, environment=environment, references={})
