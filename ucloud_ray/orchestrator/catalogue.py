"""Tools and applications. Kept in memory, written through: reading never waits for the database.

The JSON of an application is made once, when it is added; jobs and pages carry the finished bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table, insert, select

from ucloud_ray.appfile.content import ApplicationDocument, Document, ToolDocument
from ucloud_ray.appfile.reading import existing, missing_tools, read
from ucloud_ray.db import Database
from ucloud_ray.orchestrator.errors import BadDocument, NotFound
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
        """Reads what is stored, then adds seeds that are not there. Raises `BadDocument` for a seed that is wrong."""
        stored_tools, stored_applications = await self._database.read(_everything)
        self._tools = {key: orjson.loads(document) for key, document in stored_tools}
        for key, document, created_at in stored_applications:
            self._entries[key] = _entry(orjson.loads(document), created_at, self._tools)
        for path in seeds:
            documents = read_documents(await asyncio.to_thread(path.read_text))
            new = [document for document in documents if not self._has(document)]
            await self._add(new, SEED_OWNER, SEED_TIME)

    def find(self, name: str, version: str) -> CatalogueEntry | None:
        return self._entries.get((name, version))

    def get(self, name: str, version: str) -> CatalogueEntry:
        entry = self.find(name, version)
        if entry is None:
            raise NotFound(f"There is no application {name} in version {version}.")
        return entry

    def page(self, size: int, number: int, query: str = "") -> dict[str, Any]:
        """The newest version of every application, by name, in the old form of paging. `query`: only those whose name,
        title or description hold this text, whatever its case."""
        newest: dict[str, CatalogueEntry] = {}
        for entry in sorted(self._entries.values(), key=lambda one: one.created_at):
            newest[entry.metadata["name"]] = entry
        found = [name for name in sorted(newest) if _matches(newest[name], query.lower())]
        names = found[number * size : (number + 1) * size]
        return {
            "itemsInTotal": len(found),
            "itemsPerPage": size,
            "pageNumber": number,
            "items": [_summary(newest[name]) for name in names],
        }

    def check(self, documents: Iterable[Document]) -> None:
        """Raises `BadDocument` for a tool that is nowhere, and for what exists: jobs refer to it, it never changes."""
        documents = list(documents)
        unknown = missing_tools(documents, lambda name, version: (name, version) in self._tools)
        if mistakes := sorted([*unknown, *existing(documents, self._has)]):
            raise BadDocument(mistakes)

    async def add(self, documents: Iterable[Document], owner: str) -> None:
        """New versions, all of them or none. Raises `BadDocument`."""
        documents = list(documents)
        self.check(documents)
        await self._add(documents, owner, self._now())

    def _has(self, document: Document) -> bool:
        key = (document.key.name, document.key.version)
        return key in (self._tools if isinstance(document, ToolDocument) else self._entries)

    async def _add(self, documents: Iterable[Document], owner: str, now: int) -> None:
        """Tools stand before the applications that need them."""
        new_tools: dict[Key, dict[str, Any]] = {}
        new_entries: dict[Key, CatalogueEntry] = {}
        rows: list[tuple[Table, dict[str, Any]]] = []
        for document in documents:
            key = (document.key.name, document.key.version)
            if isinstance(document, ToolDocument):
                new_tools[key] = _tool(document, owner, now)
                rows.append((tools, _tool_row(key, new_tools[key])))
            else:
                content = _content(document)
                new_entries[key] = _entry(content, now, self._tools | new_tools)
                rows.append((applications, _application_row(key, document.tool, content, now)))
        await self._database.write(lambda connection: _insert(connection, rows))
        self._tools |= new_tools
        self._entries |= new_entries


def read_documents(text: str) -> list[Document]:
    """The tools and applications of a file. Raises `BadDocument` with everything that is wrong with it."""
    reading = read(text)
    if reading.mistakes:
        raise BadDocument(reading.mistakes)
    return reading.documents


def _entry(content: dict[str, Any], created_at: int, known: Mapping[Key, dict[str, Any]]) -> CatalogueEntry:
    reference = content["invocation"]["tool"]
    shown = {
        "metadata": content["metadata"],
        "invocation": {
            **content["invocation"],
            "tool": {**reference, "tool": known[reference["name"], reference["version"]]},
        },
    }
    return CatalogueEntry(
        parsed=Application.model_validate(shown),
        metadata=content["metadata"],
        tags=content["tags"],
        created_at=created_at,
        json=orjson.Fragment(orjson.dumps(shown)),
        detail=orjson.Fragment(orjson.dumps({**shown, "favorite": False, "tags": content["tags"]})),
    )


def _tool(document: ToolDocument, owner: str, now: int) -> dict[str, Any]:
    return {"owner": owner, "createdAt": now, "modifiedAt": now, "description": document.description}


def _content(document: ApplicationDocument) -> dict[str, Any]:
    return {
        "metadata": document.metadata,
        "invocation": {"tool": document.tool.model_dump(), **document.invocation},
        "tags": document.tags,
    }


def _insert(connection: Connection, rows: Iterable[tuple[Table, dict[str, Any]]]) -> None:
    for table, row in rows:
        connection.execute(insert(table).values(row))


def _tool_row(key: Key, tool: dict[str, Any]) -> dict[str, Any]:
    return {"name": key[0], "version": key[1], "document": orjson.dumps(tool)}


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


def _matches(entry: CatalogueEntry, text: str) -> bool:
    return any(text in str(entry.metadata.get(field) or "").lower() for field in ("name", "title", "description"))


def _summary(entry: CatalogueEntry) -> dict[str, Any]:
    return {"metadata": entry.metadata, "favorite": False, "tags": entry.tags}
