"""The description of the API for readers and tools.

Routes read their bodies themselves, so FastAPI does not see the types of requests: they are put in here.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

_SCHEMAS = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Make `app.openapi()` complete; it is built once, when first asked for."""

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to change the description


def _describe(app: FastAPI) -> dict[str, Any]:
    description = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    requests = [
        (call, call.pop("x-request-type"))
        for path in description["paths"].values()
        for call in path.values()
        if "x-request-type" in call
    ]
    for call, request in requests:
        call["requestBody"] = _request_body(request, description["components"]["schemas"])
    _add_security(description, app)
    return description


def _request_body(request: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(request).json_schema(ref_template=_SCHEMAS)
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    return {"required": False, "content": {"application/json": {"schema": schema}}}


def _add_security(description: dict[str, Any], app: FastAPI) -> None:
    description["components"]["securitySchemes"] = {
        "core": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "RS256, by UCloud/Core"}
    }
    guarded = {route.operation_id for route in app.routes if isinstance(route, APIRoute) and 401 in route.responses}
    for path in description["paths"].values():
        for call in path.values():
            if call.get("operationId") in guarded:
                call["security"] = [{"core": []}]
