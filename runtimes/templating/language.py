"""The dialect of Jinja that applications are written in (INV-35 to INV-42). Runs in the child; reads no file.

What a template prints is escaped for bash and not for HTML, which plain Jinja cannot do: `finalize` quotes every
string except `Raw` ones. Raw is what an author calls `safe`, what a macro or a recursive loop returned, and what a
block assignment holds, because the strings in there were quoted when they were printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from jinja2 import ChainableUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtimes.templating import extras
from runtimes.templating.quoting import Raw, for_bash, plain

FILE_NAME = "<template>"

_FORBIDDEN: Mapping[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.ScopedEvalContextModifier: "autoescape",
}
_PROVIDER_CALL = re.compile(
    r"""
    (?<!\{) \{- \s* [A-Za-z_]\w* \s*
    \( (?: [^"'(){}] | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )* \)
    \s* -\} (?!\})
    """,
    re.VERBOSE | re.DOTALL,
)


class Nothing(ChainableUndefined):
    """An unknown name: prints nothing, equals None, and so does everything inside it (INV-36)."""

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Undefined)

    def __hash__(self) -> int:
        return hash(None)


class Dialect(ImmutableSandboxedEnvironment):
    """For scripts with `quote=True`, for values of variables without."""

    def __init__(self, *, quote: bool, declared: extras.Declared) -> None:
        write = for_bash if quote else plain
        super().__init__(
            finalize=lambda value: write(extras.known(value)),
            undefined=Nothing,
            keep_trailing_newline=True,  # text of the template is never touched
        )
        self.globals = {name: self.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")}
        self.globals |= {
            "ternary": extras.ternary,
            "dynamicInterface": declared.interface,
            "setInterfaceName": declared.name,
        }
        self.filters |= {"safe": extras.safe, "flag": extras.flag, "option": extras.option(write)}
        self.filters |= dict.fromkeys(("escape", "e", "forceescape"), extras.escape(write))
        self.tests |= {"match": extras.matches, "search": extras.contains}

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().call(context, obj, *args, **kwargs)
        return Raw(result) if isinstance(obj, Macro | LoopContext) and isinstance(result, str) else result

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Jinja's own would only fail when it is used, and an unknown name of ours never does."""
        raise SecurityError(f"{attribute!r} is not available in applications")

    def render(self, source: str, context: Mapping[str, Any], most: int) -> str:
        """Raises what templates raise, and `AuthorError` for a text of more than `most` characters, or one that no
        process can be given (INV-7)."""
        pieces: list[str] = []
        size = 0
        for piece in self._compiled(without_provider_calls(source)).generate(context):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise extras.AuthorError(f"it makes a text of more than {most} characters")
        text = "".join(pieces)
        if extras.NOT_PASSABLE.search(text):
            raise extras.AuthorError("it makes a text with a NUL character (U+0000) or half a character")
        return text

    def _compiled(self, source: str) -> Any:
        tree = self.parse(source, filename=FILE_NAME)
        for kind, name in _FORBIDDEN.items():
            found = tree.find(kind)
            if found is not None:
                raise TemplateSyntaxError(f"'{name}' is not available in applications", found.lineno)
        for assignment in tree.find_all(nodes.AssignBlock):
            assignment.filter = nodes.Filter(
                assignment.filter, "safe", [], [], None, None, lineno=assignment.lineno, environment=self
            )
        code = self.compile(tree, filename=FILE_NAME)
        return self.template_class.from_code(self, code, self.make_globals(None))


def without_provider_calls(source: str) -> str:
    """INV-40. No functions are registered, so that all of them give the empty string."""
    return _PROVIDER_CALL.sub("", source)
