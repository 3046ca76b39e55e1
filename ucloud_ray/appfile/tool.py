"""`tool: v1` (models 7.4). Called by `reading`."""

from __future__ import annotations

from typing import Any

from ucloud_ray.appfile.content import ToolDocument
from ucloud_ray.appfile.mistakes import Mistakes
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.section import Section
from ucloud_ray.wire.common import NameAndVersion

BACKENDS = ("DOCKER", "SINGULARITY", "VIRTUAL_MACHINE", "NATIVE")
KEYS = (
    "tool", "name", "version", "title", "description", "authors", "image", "container", "backend", "license",
    "defaultNumberOfNodes", "defaultTimeAllocation", "defaultMaxTime", "requiredModules", "supportedProviders",
)  # fmt: skip
_MOST = 2**31 - 1


def read_tool(node: Node, mistakes: Mistakes) -> ToolDocument:
    tool = Section(node, "a tool", KEYS, mistakes)
    key = key_of(tool)
    backend = tool.choice("backend", BACKENDS, "DOCKER")
    image = tool.text("image") or tool.text("container")
    if backend in ("DOCKER", "VIRTUAL_MACHINE") and not image and not tool.excuses("image"):
        tool.wrong(node, f"a tool with the backend {backend} has no 'image'", "add `image: registry/name:version`")
    description = {
        "info": key.model_dump(),
        "container": None,
        "defaultNumberOfNodes": tool.whole("defaultNumberOfNodes", 1, 0, _MOST),
        "defaultTimeAllocation": _duration(tool),
        "requiredModules": tool.texts("requiredModules"),
        "authors": tool.texts("authors"),
        "title": tool.text("title", key.name),
        "description": tool.text("description", long=True).strip(),
        "backend": backend,
        "license": tool.text("license"),
        "image": image or None,
        "supportedProviders": None if tool.get("supportedProviders") is None else tool.texts("supportedProviders"),
    }
    return ToolDocument(key, tool.place("version"), description)


def key_of(section: Section) -> NameAndVersion:
    name, version = section.needed_text("name", "my-name"), section.needed_text("version", "1.0.0")
    return NameAndVersion(name=name, version=version)


def _duration(tool: Section) -> dict[str, Any]:
    key = "defaultTimeAllocation" if tool.get("defaultTimeAllocation") is not None else "defaultMaxTime"
    parts = tool.section(key, ("hours", "minutes", "seconds"))
    if parts is None:
        return {"hours": 1, "minutes": 0, "seconds": 0}
    return {part: parts.whole(part, 0, 0, _MOST) for part in ("hours", "minutes", "seconds")}
