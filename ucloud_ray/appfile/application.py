"""`application: v1` (models 7.1 to 7.3). Called by `reading`."""

from __future__ import annotations

from typing import Any

from ucloud_ray.appfile.content import ApplicationDocument
from ucloud_ray.appfile.invocation import Names, command_line, environment
from ucloud_ray.appfile.mistakes import Mistakes
from ucloud_ray.appfile.nodes import Node
from ucloud_ray.appfile.parameters import parameters
from ucloud_ray.appfile.section import Section
from ucloud_ray.appfile.tool import key_of
from ucloud_ray.wire.common import NameAndVersion

TYPES = ("BATCH", "WEB", "VNC")
SSH_MODES = ("DISABLED", "OPTIONAL", "MANDATORY")
_ALLOWANCES = ("allowAdditionalMounts", "allowAdditionalPeers", "allowMultiNode", "allowPublicIp", "allowPublicLink")
KEYS = (
    "application", "name", "version", "tool", "title", "description", "authors", "tags", "website", "applicationType",
    "invocation", "parameters", "environment", "outputFileGlobs", "vnc", "web", "ssh", "container", "modules",
    *_ALLOWANCES, "fileExtensions", "licenseServers",
)  # fmt: skip
_PORTS = (1, 65_535)


def read_application(node: Node, mistakes: Mistakes) -> ApplicationDocument:
    application = Section(node, "an application", KEYS, mistakes)
    key = key_of(application)
    needed = application.needed("tool", "{name: my-tool, version: 1.0.0}")
    tool = None if needed is None else Section(needed, "'tool' of an application", ("name", "version"), mistakes)
    metadata = {
        **key.model_dump(),
        "authors": application.texts("authors"),
        "title": application.text("title", key.name),
        "description": application.text("description", long=True).strip(),
        "website": application.text("website") or None,
        "public": True,
    }
    return ApplicationDocument(
        key=key,
        place=application.place("version"),
        tool=NameAndVersion(name="", version="") if tool is None else key_of(tool),
        tool_place=application.place("tool"),
        metadata=metadata,
        invocation=_invocation(application),
        tags=application.texts("tags"),
    )


def _invocation(application: Section) -> dict[str, Any]:
    kind = application.choice("applicationType", TYPES, "BATCH")
    declared = parameters(application)
    # Parameters with a mistake in them are parameters all the same; a type that is not known counts as the right one.
    written = dict.fromkeys((name for name, _, _ in application.entries("parameters")), "boolean")
    names = Names(written | {parameter["name"]: parameter["type"] for parameter in declared})
    return {
        "invocation": command_line(application, names),
        "parameters": declared,
        "outputFileGlobs": application.texts("outputFileGlobs") or ["*"],
        "applicationType": kind,
        **interfaces(application, kind),
        "ssh": _ssh(application),
        "container": _container(application),
        **modules(application),
        "environment": environment(application, names),
        "fileExtensions": application.texts("fileExtensions"),
        "licenseServers": application.texts("licenseServers"),
        **_allowances(application),
    }


def _allowances(application: Section) -> dict[str, bool | None]:
    answers = {key: application.flag(key, None) for key in _ALLOWANCES}
    return answers | {key: answers[key] or False for key in ("allowMultiNode", "allowPublicIp")}


def interfaces(application: Section, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, keys in (("vnc", ("password", "port")), ("web", ("port",))):
        section = application.section(key, keys)
        found[key] = None
        if section is None:
            continue
        if kind != key.upper():
            remedy = f"add `applicationType: {key.upper()}`, or remove '{key}'"
            application.wrong(section.node, f"'{key}' is only for applications of the type {key.upper()}", remedy)
        found[key] = {"port": section.whole("port", 5900 if key == "vnc" else 80, *_PORTS)}
        if key == "vnc":
            found[key]["password"] = section.text("password") or None
    return found


def _ssh(application: Section) -> dict[str, Any] | None:
    section = application.section("ssh", ("mode",))
    return None if section is None else {"mode": section.choice("mode", SSH_MODES, "DISABLED")}


def _container(application: Section) -> dict[str, Any] | None:
    keys = {"changeWorkingDirectory": True, "runAsRoot": False, "runAsRealUser": False}
    section = application.section("container", keys)
    if section is None:
        return None
    answers = {key: section.flag(key, default) for key, default in keys.items()}
    if answers["runAsRoot"] and answers["runAsRealUser"]:
        section.wrong(section.node, "'runAsRoot' and 'runAsRealUser' exclude each other", "remove one")
    return answers


def modules(application: Section) -> dict[str, Any]:
    """Left out where there are none: the first UCloud did not know them."""
    section = application.section("modules", ("mountPath", "optional"))
    if section is None:
        return {}
    found = {"mountPath": section.needed_text("mountPath", "/opt/modules"), "optional": section.texts("optional")}
    return {"modules": found}
