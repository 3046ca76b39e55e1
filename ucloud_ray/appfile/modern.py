"""`application: v2`: one document that is a tool and an application of the same name (INV-47). Called by `reading`.

Its command line is one template, its environment plain words.
"""

from __future__ import annotations

from typing import Any

from ucloud_ray.appfile import templates
from ucloud_ray.appfile.application import modules
from ucloud_ray.appfile.content import ApplicationDocument, ToolDocument
from ucloud_ray.appfile.invocation import check_variable
from ucloud_ray.appfile.mistakes import Mistakes, Place
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.parameters import check_name, check_values, options
from ucloud_ray.appfile.section import Section
from ucloud_ray.appfile.tool import key_of

KEYS = (
    "application", "name", "version", "software", "title", "description", "license", "documentation", "features",
    "modules", "parameters", "sbatch", "invocation", "ucx", "environment", "web", "vnc", "ssh", "inference",
    "extensions",
)  # fmt: skip
_BACKENDS = {"Container": "DOCKER", "VirtualMachine": "VIRTUAL_MACHINE", "Native": "NATIVE"}
_TYPES = {
    "File": "input_file",
    "Directory": "input_directory",
    "Integer": "integer",
    "FloatingPoint": "floating_point",
    "Boolean": "boolean",
    "Text": "text",
    "TextArea": "textarea",
    "Enumeration": "enumeration",
    "License": "license_server",
    "Job": "peer",
    "PublicIP": "network_ip",
    "Workflow": "workflow",
}
_COMMON = ("type", "title", "description", "optional")
_NUMBER = ("defaultValue", "min", "max", "step")
_OWN = {
    "Integer": _NUMBER,
    "FloatingPoint": _NUMBER,
    "Boolean": ("defaultValue",),
    "Text": ("defaultValue",),
    "TextArea": ("defaultValue",),
    "Enumeration": ("defaultValue", "options"),
}
_FEATURES = {
    "multiNode": "allowMultiNode",
    "links": "allowPublicLink",
    "ipAddresses": "allowPublicIp",
    "folders": "allowAdditionalMounts",
    "jobLinking": "allowAdditionalPeers",
    "jobAuditLog": "jobAuditLogIsEnabled",
}
_SSH = {"Mandatory": "MANDATORY", "Optional": "OPTIONAL", "Disabled": "DISABLED"}
_AUTHORS = ["UCloud"]


def read_modern(node: Node, mistakes: Mistakes) -> tuple[ToolDocument, ApplicationDocument]:
    given = Section(node, "an application", KEYS, mistakes)
    key, place = key_of(given), given.place("version")
    words = {"title": given.text("title", key.name), "description": given.text("description", long=True).strip()}
    tool = {
        "info": key.model_dump(),
        "container": None,
        "defaultNumberOfNodes": 1,
        "defaultTimeAllocation": {"hours": 1, "minutes": 0, "seconds": 0},
        "requiredModules": [],
        "authors": _AUTHORS,
        **words,
        "license": given.text("license"),
        "supportedProviders": None,
        **_software(given),
    }
    metadata = {
        **key.model_dump(),
        "authors": _AUTHORS,
        **words,
        "website": given.text("documentation") or None,
        "public": True,
    }
    application = ApplicationDocument(key, place, key, place, metadata, _invocation(given))
    return ToolDocument(key, place, tool), application


def _software(given: Section) -> dict[str, Any]:
    node = given.needed("software", "{type: Container, image: registry/name:version}")
    if node is None:
        return {"backend": "DOCKER", "image": None}
    kind = node.pairs["type"][1].raw if node.pairs and "type" in node.pairs else ""
    keys = ("type", "load") if kind == "Native" else ("type", "image")
    software = Section(node, "'software' of an application", keys, given.mistakes)
    if kind == "UCX":
        software.wrong(software.place("type"), "software of the type UCX cannot be run here", "use Container or Native")
        return {"backend": "DOCKER", "image": None}
    backend = _BACKENDS.get(software.needed_choice("type", list(_BACKENDS)) or "", "DOCKER")
    if backend == "NATIVE":
        return {"backend": backend, "image": None, "loadInstructions": _load(software)}
    return {"backend": backend, "image": software.needed_text("image", "registry/name:version")}


def _load(software: Section) -> dict[str, Any] | None:
    node = software.get("load")
    if node is None:
        return None
    if node.items is None:
        software.wrong(node, f"'load' must be a list, not {node.kind}", "write `- {name: gcc, version: 12.1}`")
        return None
    found = [Section(item, "an entry of 'load'", ("name", "version"), software.mistakes) for item in node.items]
    return {"type": "Native", "applications": [key_of(one).model_dump() for one in found]}


def _invocation(given: Section) -> dict[str, Any]:
    declared = _parameters(given)
    kind, interfaces = _interfaces(given)
    ssh = given.section("ssh", ("mode",))
    return {
        "invocation": [{"type": "jinja", "template": _template(given, declared)}],
        "parameters": declared,
        "outputFileGlobs": ["*"],
        "applicationType": kind,
        **interfaces,
        "ssh": None if ssh is None else {"mode": _SSH[ssh.choice("mode", list(_SSH), "Disabled")]},
        "container": None,
        **modules(given),
        "environment": _words(given, "environment"),
        "sbatch": _words(given, "sbatch"),
        "fileExtensions": given.texts("extensions"),
        "licenseServers": [],
        **_features(given),
    }


def _features(given: Section) -> dict[str, bool | None]:
    section = given.section("features", _FEATURES)
    answers = {ours: None if section is None else section.flag(key, None) for key, ours in _FEATURES.items()}
    return answers | {key: answers[key] or False for key in ("allowMultiNode", "allowPublicIp")}


def _interfaces(given: Section) -> tuple[str, dict[str, Any]]:
    web, vnc = given.section("web", ("enabled", "port")), given.section("vnc", ("enabled", "port", "password"))
    on = [section for section in (web, vnc) if section is not None and section.flag("enabled", False)]
    if len(on) > 1:
        given.wrong(on[1].node, "an application has a web page or a desktop, not both", "disable 'web' or 'vnc'")
    found: dict[str, Any] = {"web": None, "vnc": None}
    kind = "BATCH"
    for section in on[:1]:
        kind = "WEB" if section is web else "VNC"
        found[kind.lower()] = {"port": section.whole("port", 80 if section is web else 5900, 1, 65_535)}
        if section is vnc:
            found["vnc"]["password"] = section.text("password") or None
    return kind, found


def _template(given: Section, declared: list[dict[str, Any]]) -> str:
    node = given.get("invocation")
    if node is not None and node.items is not None:
        remedy = "write `invocation: |` and the script"
        given.wrong(node, "'invocation' of version v2 is one template, not a list", remedy)
        return ""
    template = given.needed_text("invocation", "command {{ parameter }}", long=True)
    if node is None:
        return template
    names = [name for name, _, _ in given.entries("parameters")]
    open_ended = any(parameter["type"] == "workflow" for parameter in declared)
    templates.check(node, given, names, any_name=open_ended)
    return template


def _words(given: Section, key: str) -> dict[str, Any] | None:
    if given.get(key) is None:
        return None
    words = {}
    for name, place, node in given.entries(key):
        if key == "environment":
            check_variable(given, name, place)
        words[name] = {"type": "word", "word": "" if node.empty else given.as_text(node, f"'{name}'", long=True)}
    return words


def _parameters(given: Section) -> list[dict[str, Any]]:
    found = (_parameter(given, name, place, node) for name, place, node in given.entries("parameters"))
    return [parameter for parameter in found if parameter is not None]


def _parameter(given: Section, name: str, place: Place, node: Node) -> dict[str, Any] | None:
    check_name(given, name, place)
    written = node.pairs["type"][1].raw if node.pairs and "type" in node.pairs else ""
    keys = (*_COMMON, *_OWN.get(written, () if written in _TYPES else ("options", *_NUMBER)))
    section = Section(node, f"the parameter '{name}'", keys, given.mistakes)
    if node.pairs is None or section.needed_choice("type", list(_TYPES)) is None:
        return None
    kind = _TYPES[written]
    check_values(section, kind)
    own: dict[str, Any] = {}
    if kind in ("integer", "floating_point"):
        own = {key: section.plain(key) for key in ("min", "max", "step")}
    elif kind == "boolean":
        own = {"trueValue": "true", "falseValue": "false"}
    elif kind == "enumeration":
        own = {"options": options(section, "title")}
    return {
        "type": kind,
        "name": name,
        "optional": section.flag("optional", True),
        "defaultValue": section.plain("defaultValue"),
        "title": section.text("title"),
        "description": section.text("description", long=True),
        **own,
    }
