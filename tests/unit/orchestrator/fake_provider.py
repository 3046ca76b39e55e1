"""A provider that answers what a test tells it to, and remembers what it was asked. Speaks HTTP through ASGI."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answer = Callable[["Asked"], Response]


@dataclass
class Asked:
    method: str
    path: str
    """Without `/ucloud/<provider>/`."""
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def username(self) -> str | None:
        encoded = self.headers.get("ucloud-username")
        return None if encoded is None else base64.b64decode(encoded).decode()


def support_entry(product: str = "example-compute", **more: Any) -> dict[str, Any]:
    return {
        "product": {"id": product, "category": product, "provider": "example"},
        "docker": {"enabled": True, "terminal": True, "logs": True, "timeExtension": True},
        "native": {"enabled": True},
        **more,
    }


@dataclass
class FakeProvider:
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """Path to what is answered next; the last one stays. Else the smallest correct answer."""
    asked: list[Asked] = field(default_factory=list)
    hang: set[str] = field(default_factory=set)
    """Paths that are never answered."""
    before_answer: Callable[[Asked], Awaitable[None]] | None = None
    support: list[dict[str, Any]] = field(default_factory=lambda: [support_entry()])

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/ucloud/example/{path:path}", self._handle, methods=["GET", "POST"])])

    def answer(self, path: str, content: Any = None, status: int = 200, raw: bytes | None = None) -> None:
        made = orjson.dumps(content) if raw is None else raw
        self.answers.setdefault(path, []).append(lambda _: Response(made, status, media_type="application/json"))

    def calls(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]

    async def _handle(self, request: Request) -> Response:
        path = request.path_params["path"]
        raw = await request.body()
        asked = Asked(
            request.method, path, dict(request.query_params), dict(request.headers), orjson.loads(raw) if raw else None
        )
        self.asked.append(asked)
        if path in self.hang:
            await asyncio.Event().wait()
        if self.before_answer:
            await self.before_answer(asked)
        planned = self.answers.get(path)
        if planned:
            return (planned.pop(0) if len(planned) > 1 else planned[0])(asked)
        return self._smallest(asked)

    def _smallest(self, asked: Asked) -> Response:
        if asked.path == "jobs/retrieveProducts":
            return JSONResponse({"responses": self.support})
        if asked.path.endswith("retrieveProducts"):
            return JSONResponse({"responses": []})
        if asked.path == "jobs":
            return JSONResponse({"responses": [None]})
        if asked.path == "integration/retrieveManifest":
            return JSONResponse({"enabled": False, "expireAfterMs": None})
        items = (asked.body or {}).get("items")
        return JSONResponse({} if items is None else {"responses": [{} for _ in items]})
