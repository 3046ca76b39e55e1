"""Tools and applications. Kept in memory, written through: reading never waits for the database.

The JSON of an application is made once, when it is added; jobs and pages carry the finished bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from ucloud_ray.db import Database
from ucloud_ray.orchestrator.document import ApplicationDocument, ToolDocument, parse_document
from ucloud_ray.orchestrator.errors import BadRequest, NotFound
from ucloud_ray.orchestrator.tables import applications, tools
from ucloud_ray.wire.applications import Application
from ucloud_ray.wire.common import NameAndVersion

Key = tuple[str, str]
SEED_OWNER = "user"
SEED_TIME = 1632979836013
"""Owner and time of the examples in the mission document."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One application in one version."""

    parsed: Application
    metadata: dict[str, Any]
    tags: list[str]
    created_at: int
    json: orjson.Fragment
    """`{"metadata", "invocation"}`, the `resolvedApplication` of jobs."""
    detail: orjson.Fragment
    """The same with `favorite` and `tags`, for the catalogue."""

    @property
    def backend(self) -> str:
        tool = self.parsed.invocation.tool.tool
        return tool.description.backend if tool else "DOCKER"


class Catalogue:
    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._database = database
        self._now = now
        self._tools: dict[Key, dict[str, Any]] = {}
        self._entries: dict[Key, CatalogueEntry] = {}

    async def load(self, seeds: Iterable[Path]) -> None:
        """Reads what is stored, then adds seeds that are not there. Raises `BadRequest` for a seed that is wrong."""
        stored_tools, stored_applications = await self._database.read(_everything)
        self._tools = {key: orjson.loads(document) for key, document in stored_tools}
        for key, document, created_at in stored_applications:
            self._entries[key] = self._entry(orjson.loads(document), created_at)
        for seed in await asyncio.to_thread(_read_documents, seeds):
            await self._seed(seed)

    def find(self, name: str, version: str) -> CatalogueEntry | None:
        return self._entries.get((name, version))

    def get(self, name: str, version: str) -> CatalogueEntry:
        entry = self.find(name, version)
        if entry is None:
            raise NotFound(f"There is no application {name} in version {version}.")
        return entry

    def page(self, size: int, number: int) -> dict[str, Any]:
        """The newest version of every application, by name, in the old form of paging."""
        newest: dict[str, CatalogueEntry] = {}
        for entry in sorted(self._entries.values(), key=lambda one: one.created_at):
            newest[entry.metadata["name"]] = entry
        names = sorted(newest)[number * size : (number + 1) * size]
        return {
            "itemsInTotal": len(newest),
            "itemsPerPage": size,
            "pageNumber": number,
            "items": [_summary(newest[name]) for name in names],
        }

    async def add(self, document: ToolDocument | ApplicationDocument, owner: str) -> None:
        """A new version. A tool or application that exists is never changed: jobs refer to it."""
        await self._add(document, owner, self._now())

    async def _add(self, document: ToolDocument | ApplicationDocument, owner: str, now: int) -> None:
        if isinstance(document, ToolDocument):
            await self._add_tool(document, owner, now)
        else:
            await self._add_application(document, now)

    async def _seed(self, document: ToolDocument | ApplicationDocument) -> None:
        key = (document.key.name, document.key.version)
        if key not in (self._tools if isinstance(document, ToolDocument) else self._entries):
            await self._add(document, SEED_OWNER, SEED_TIME)

    async def _add_tool(self, document: ToolDocument, owner: str, now: int) -> None:
        key = (document.key.name, document.key.version)
        _refuse_existing("tool", key, self._tools)
        tool = {"owner": owner, "createdAt": now, "modifiedAt": now, "description": document.description}
        row = {"name": key[0], "version": key[1], "document": orjson.dumps(tool)}
        await self._database.write(lambda connection: connection.execute(insert(tools).values(row)))
        self._tools[key] = tool

    async def _add_application(self, document: ApplicationDocument, now: int) -> None:
        key = (document.key.name, document.key.version)
        _refuse_existing("application", key, self._entries)
        content = {
            "metadata": document.metadata,
            "invocation": {"tool": document.tool.model_dump(), **document.invocation},
            "tags": document.tags,
        }
        entry = self._entry(content, now)
        row = _application_row(key, document.tool, content, now)
        await self._database.write(lambda connection: connection.execute(insert(applications).values(row)))
        self._entries[key] = entry

    def _entry(self, content: dict[str, Any], created_at: int) -> CatalogueEntry:
        reference = content["invocation"]["tool"]
        tool = self._tools.get((reference["name"], reference["version"]))
        if tool is None:
            raise BadRequest(f"The tool {reference['name']} {reference['version']} is not known; add it first.")
        shown = {
            "metadata": content["metadata"],
            "invocation": {**content["invocation"], "tool": {**reference, "tool": tool}},
        }
        return CatalogueEntry(
            parsed=Application.model_validate(shown),
            metadata=content["metadata"],
            tags=content["tags"],
            created_at=created_at,
            json=orjson.Fragment(orjson.dumps(shown)),
            detail=orjson.Fragment(orjson.dumps({**shown, "favorite": False, "tags": content["tags"]})),
        )


def _read_documents(paths: Iterable[Path]) -> list[ToolDocument | ApplicationDocument]:
    return [parse_document(path.read_text()) for path in paths]


def _everything(connection: Connection) -> tuple[list[tuple[Key, bytes]], list[tuple[Key, bytes, int]]]:
    found_tools = connection.execute(select(tools)).all()
    found_applications = connection.execute(select(applications)).all()
    return (
        [((row.name, row.version), row.document) for row in found_tools],
        [((row.name, row.version), row.document, row.created_at) for row in found_applications],
    )


def _application_row(key: Key, tool: NameAndVersion, content: dict[str, Any], now: int) -> dict[str, Any]:
    return {
        "name": key[0],
        "version": key[1],
        "created_at": now,
        "tool_name": tool.name,
        "tool_version": tool.version,
        "document": orjson.dumps(content),
    }


def _summary(entry: CatalogueEntry) -> dict[str, Any]:
    return {"metadata": entry.metadata, "favorite": False, "tags": entry.tags}


def _refuse_existing(kind: str, key: Key, existing: Iterable[Key]) -> None:
    if key in existing:
        raise BadRequest(f"The {kind} {key[0]} exists in version {key[1]}; give the document a new version.")
