"""A file of tools and applications to the documents of the catalogue, or to everything that is wrong with it. Pure.

Called by the command line, by the orchestrator for what it is sent, and for the applications that it comes with. What
only a catalogue can know (whether a tool exists there) is added by the orchestrator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydantic import ValidationError

from ucloud_ray.appfile import nodes
from ucloud_ray.appfile.application import read_application
from ucloud_ray.appfile.content import ApplicationDocument, Document, Reading, ToolDocument
from ucloud_ray.appfile.mistakes import Mistake, Mistakes, Place, nearest
from ucloud_ray.appfile.modern import read_modern
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.tool import read_tool
from ucloud_ray.wire.applications import Application, Tool

_BEGINNINGS = "`tool: v1`, `application: v1` or `application: v2`"
_READERS: dict[tuple[str, str], Callable[[Node, Mistakes], tuple[Document, ...]]] = {
    ("tool", "v1"): lambda node, mistakes: (read_tool(node, mistakes),),
    ("application", "v1"): lambda node, mistakes: (read_application(node, mistakes),),
    ("application", "v2"): read_modern,
}


def read(text: str) -> Reading:
    """Never raises."""
    mistakes = Mistakes()
    found = [document for node in nodes.documents(text, mistakes) for document in _read_one(node, mistakes)]
    if not found and not mistakes:
        mistakes.add(Place(1, 1), "there is no document in the file", f"begin one with {_BEGINNINGS}")
    _refuse_twice(found, mistakes)
    if not mistakes:  # whatever the readers let through must be what the rest of the system can read
        _check_models(found, mistakes)
    tools_first = sorted(found, key=lambda document: document.kind != "tool")
    return Reading(tools_first, mistakes.sorted())


def missing_tools(documents: Iterable[Document], exists: Callable[[str, str], bool]) -> list[Mistake]:
    """Applications whose tool is neither in their file nor in the catalogue that is asked."""
    documents = list(documents)
    here = {(tool.key.name, tool.key.version) for tool in documents if isinstance(tool, ToolDocument)}
    found = []
    for application in documents:
        if not isinstance(application, ApplicationDocument):
            continue
        name, version = application.tool.name, application.tool.version
        if (name, version) not in here and not exists(name, version):
            message = f"there is no tool '{name}' in version '{version}'"
            remedy = "add it first, or to this file"
            found.append(Mistake(application.tool_place, message, remedy))
    return found


def existing(documents: Iterable[Document], exists: Callable[[Document], bool]) -> list[Mistake]:
    """What is in the catalogue already: jobs refer to it, so that it is never changed."""
    return [
        Mistake(
            document.place,
            f"the {document.kind} '{document.key.name}' exists in version '{document.key.version}' already",
            "give the document a new version",
        )
        for document in documents
        if exists(document)
    ]


def _read_one(node: Node, mistakes: Mistakes) -> tuple[Document, ...]:
    if node.pairs is None:
        mistakes.add(node.place, f"a document is a map of keys to values, not {node.kind}", f"begin with {_BEGINNINGS}")
        return ()
    for key in ("application", "tool"):  # an application has a key `tool`, too
        if key in node.pairs:
            return _read_kind(key, node, mistakes)
    first = next(iter(node.pairs), "")
    remedy = nearest(first, ("tool", "application"), f"begin with {_BEGINNINGS}")
    mistakes.add(node.place, "the document is neither a tool nor an application", remedy)
    return ()


def _read_kind(key: str, node: Node, mistakes: Mistakes) -> tuple[Document, ...]:
    assert node.pairs is not None
    version = node.pairs[key][1]
    reader = _READERS.get((key, version.raw))
    if reader is None:
        known = " or ".join(f"`{key}: {v}`" for k, v in _READERS if k == key)
        mistakes.add(version.place, f"'{version.raw}' is no version of the format of {key}s", f"write {known}")
        return ()
    return reader(node, mistakes)


def _refuse_twice(documents: list[Document], mistakes: Mistakes) -> None:
    seen: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        key = (document.kind, document.key.name, document.key.version)
        first = seen.setdefault(key, document)
        if first is not document and document.key.name:
            message = (
                f"the {document.kind} '{key[1]}' stands twice in version '{key[2]}', first in line {first.place.line}"
            )
            mistakes.add(document.place, message, "give one another version")


def _check_models(documents: list[Document], mistakes: Mistakes) -> None:
    for document in documents:
        try:
            if isinstance(document, ToolDocument):
                Tool.model_validate({"description": document.description})
            else:
                invocation = {**document.invocation, "tool": document.tool.model_dump()}
                Application.model_validate({"metadata": document.metadata, "invocation": invocation})
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            mistakes.add(document.place, f"{where} cannot be used ({problem['msg']})", "correct it")
