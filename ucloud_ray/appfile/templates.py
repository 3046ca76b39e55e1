"""Templates of applications, looked at without being run: their syntax, and the names that they use (INV-33 to INV-40).

Called by the readers of applications.
"""

from __future__ import annotations

from collections.abc import Collection

import jinja2
from jinja2 import nodes as syntax

from ucloud_ray.appfile.mistakes import Place, listed, nearest
from ucloud_ray.appfile.nodes import Node, lines_of
from ucloud_ray.appfile.section import Section

_OF_THE_JOB = frozenset({"ucloud", "partition", "qos", "webPort", "vncPort"})
_FUNCTIONS = frozenset(
    {"ternary", "dynamicInterface", "setInterfaceName", "script", "sbatch", "srun", "range", "dict", "cycler"}
    | {"joiner", "namespace"}
)
_OF_JINJA = frozenset({"loop", "caller", "varargs", "kwargs", "self"})
_FILTERS = frozenset({"flag", "option"})
_NOT_AVAILABLE = {
    syntax.Include: "include",
    syntax.Import: "import",
    syntax.FromImport: "from",
    syntax.Extends: "extends",
    syntax.Block: "block",
}
_environment = jinja2.Environment()  # nothing is rendered


def check(node: Node, owner: Section, parameters: Collection[str], *, any_name: bool) -> None:
    """`any_name`: a workflow of the user's may bring parameters that the file does not know."""
    try:
        tree = _environment.parse(node.raw)
    except jinja2.TemplateSyntaxError as error:
        message = f"the template cannot be read ({error.message})"
        owner.wrong(_line(node, error.lineno), message, "correct it, or write the characters as {{ '...' }}")
        return
    except RecursionError:
        owner.wrong(node, "the template is nested too deeply", "simplify it")
        return
    _check_tags(tree, node, owner)
    _check_filters(tree, node, owner)
    if not any_name:
        _check_names(tree, node, owner, parameters)


def _check_tags(tree: syntax.Template, node: Node, owner: Section) -> None:
    for kind, name in _NOT_AVAILABLE.items():
        for found in tree.find_all(kind):
            owner.wrong(_line(node, found.lineno), f"'{name}' is not available in templates", "write its content out")


def _check_filters(tree: syntax.Template, node: Node, owner: Section) -> None:
    known = _FILTERS | set(_environment.filters)
    for used in tree.find_all(syntax.Filter):
        if used.name not in known:
            remedy = nearest(used.name, known, "own ones are flag and option")
            owner.wrong(_line(node, used.lineno), f"there is no filter '{used.name}'", remedy)


def _check_names(tree: syntax.Template, node: Node, owner: Section, parameters: Collection[str]) -> None:
    """Names that the template sets anywhere count as known. Jinja's own search would run parts of the template."""
    names = list(tree.find_all(syntax.Name))
    own = {name.name for name in names if name.ctx != "load"} | {macro.name for macro in tree.find_all(syntax.Macro)}
    known = {*parameters, *own, *_OF_THE_JOB, *_FUNCTIONS, *_OF_JINJA}
    for used in names:
        if used.ctx == "load" and used.name not in known:
            otherwise = f"declare it in 'parameters' (there are {listed(parameters) or 'none'})"
            message = f"the template uses '{used.name}', which is no parameter"
            owner.wrong(_line(node, used.lineno), message, nearest(used.name, parameters, otherwise))


def _line(node: Node, number: int) -> Place:
    lines = list(lines_of(node))
    column = 1 if node.literal else node.place.column
    return Place(lines[min(number, len(lines)) - 1], column)
