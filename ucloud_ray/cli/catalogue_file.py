"""Splits a YAML file into the tools and applications it holds, tools first because applications name them."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from ucloud_ray.cli.errors import CliError

PATHS = {"tool": "/api/hpc/tools", "application": "/api/hpc/apps"}


@dataclass(frozen=True, slots=True)
class Document:
    kind: str
    """`tool` or `application`, the first key of UCloud's YAML."""
    name: str
    """`NAME@VERSION`."""
    text: str

    @property
    def path(self) -> str:
        return PATHS[self.kind]


def documents(text: str, file: str) -> list[Document]:
    """Raises `CliError` that names the document which is neither."""
    try:
        found = [_document(node, number, file) for number, node in enumerate(yaml.safe_load_all(text), 1) if node]
    except yaml.YAMLError as error:
        raise CliError(f"{file} is not valid YAML", " ".join(str(error).split())) from error
    if not found:
        raise CliError(f"{file} holds no document", "write a tool and an application into it")
    return sorted(found, key=lambda document: list(PATHS).index(document.kind))


def _document(node: object, number: int, file: str) -> Document:
    kind = next((kind for kind in PATHS if isinstance(node, dict) and kind in node), None)
    if kind is None or not isinstance(node, dict):
        raise CliError(f"document {number} of {file} is neither a tool nor an application", "start it with `tool: v1`")
    name = f"{node.get('name', '?')}@{node.get('version', '?')}"
    return Document(kind, name, yaml.safe_dump(node, sort_keys=False, allow_unicode=True))
