"""The dialect of Jinja that applications are written in (INV-35 to INV-42). Runs in the child; reads no file.

What a template prints is escaped for bash and not for HTML, which plain Jinja cannot do: `finalize` quotes every
string except `Raw` ones. Raw is what an author calls `safe`, what a macro or a recursive loop returned, and what a
block assignment holds, because the strings in there were quoted when they were printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jinja2 import ChainableUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

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
_INTERFACE_TYPES = ("WEB", "VNC")
_NOT_PASSABLE = re.compile("[\0\ud800-\udfff]")


class AuthorError(TemplateError):
    """A template uses something of ours in a wrong way."""


class Nothing(ChainableUndefined):
    """An unknown name: prints nothing, equals None, and so does everything inside it (INV-36)."""

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Undefined)

    def __hash__(self) -> int:
        return hash(None)


class Dialect(ImmutableSandboxedEnvironment):
    """For scripts with `quote=True`, for values of variables without."""

    def __init__(self, *, quote: bool, declared: Declared) -> None:
        write = for_bash if quote else plain
        super().__init__(
            finalize=lambda value: write(None if isinstance(value, Undefined) else value),
            undefined=Nothing,
            keep_trailing_newline=True,  # text of the template is never touched
        )
        self.globals = {name: self.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")}
        self.globals |= {
            "ternary": ternary,
            "dynamicInterface": declared.interface,
            "setInterfaceName": declared.name,
        }
        self.filters |= {"safe": safe, "flag": flag, "option": _option(write)}
        self.filters |= dict.fromkeys(("escape", "e", "forceescape"), _escape(write))
        self.tests |= {"match": matches, "search": contains}

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
                raise AuthorError(f"it makes a text of more than {most} characters")
        text = "".join(pieces)
        if _NOT_PASSABLE.search(text):
            raise AuthorError("it makes a text with a NUL character (U+0000) or half a character")
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


# --------------------------------------------------------------------------------------- filters, tests, functions


def safe(value: object) -> Raw:
    return Raw(plain(None if isinstance(value, Undefined) else value))


def _escape(write: Callable[[object], str]) -> Callable[[object], Raw]:
    return lambda value: (
        value if isinstance(value, Raw) else Raw(write(None if isinstance(value, Undefined) else value))
    )


def flag(value: object, on: str, off: str = "") -> str | None:
    """INV-37."""
    return (on if value else off) or None


def _option(write: Callable[[object], str]) -> Callable[..., Raw | None]:
    def option(value: object, name: str, add_space: bool | None = None) -> Raw | None:
        """INV-38."""
        if value is None or isinstance(value, Undefined):
            return None
        spaced = not name.endswith("=") if add_space is None else add_space
        text = plain(value)
        return Raw(f"{name} {write(text)}" if spaced else write(name + text))

    return option


def matches(value: object, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """INV-39: the whole text; with `multiline` one of its lines."""
    bounds = r"^(?:{})$" if multiline else r"\A(?:{})\Z"
    return _found(bounds.format(pattern), value, ignorecase, multiline)


def contains(value: object, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """INV-39."""
    return _found(pattern, value, ignorecase, multiline)


def _found(pattern: str, value: object, ignorecase: bool, multiline: bool) -> bool:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.search(pattern, plain(None if isinstance(value, Undefined) else value), flags) is not None
    except re.error as error:
        raise AuthorError(f"{pattern!r} is no regular expression: {error}") from error


def ternary(condition: object, yes: object, no: object) -> object:
    """INV-39."""
    return yes if condition else no


class Declared:
    """Collects the interfaces of one template (INV-39, IS-30)."""

    def __init__(self) -> None:
        self.targets: list[dict[str, Any]] = []
        self.default_name: str | None = None

    def interface(self, rank: int, type: str, target: str, port: int) -> None:
        """`dynamicInterface`."""
        kind = str(type).upper()
        if kind not in _INTERFACE_TYPES:
            raise AuthorError(f"the type of an interface is {' or '.join(_INTERFACE_TYPES)}, not {type!r}")
        if not (_is_integer(port) and 1 <= port <= 65535):
            raise AuthorError(f"the port of an interface is a number from 1 to 65535, not {port!r}")
        if not (_is_integer(rank) and rank >= 0):
            raise AuthorError(f"the rank of an interface is a number from 0, not {rank!r}")
        self.targets.append({"rank": rank, "type": kind, "target": _passable(target), "port": port})

    def name(self, name: str) -> None:
        """`setInterfaceName`."""
        self.default_name = _passable(name)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _passable(text: object) -> str:
    name = str(text)
    if not name or len(name) > 200 or _NOT_PASSABLE.search(name):
        raise AuthorError("the name of an interface has 1 to 200 characters")
    return name
