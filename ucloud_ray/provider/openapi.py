"""The description of the API for readers and tools.

Routes read their bodies themselves, so FastAPI does not see the types of requests: they are put in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ucloud_ray.provider.endpoint import Endpoint

_SCHEMAS = "#/components/schemas/{model}"
_SECURITY = {"core": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "UCloud/Core's, RS256"}}


def install(app: FastAPI, endpoints: Sequence[Endpoint[Any]]) -> None:
    """Make `app.openapi()` complete; it is built once, when first asked for."""

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, {endpoint.name: endpoint for endpoint in endpoints})
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to change the description


def _describe(app: FastAPI, endpoints: dict[str, Endpoint[Any]]) -> dict[str, Any]:
    description = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = description["components"]
    components["securitySchemes"] = _SECURITY
    for operation in _operations(description):
        endpoint = endpoints[operation["operationId"]]
        if endpoint.request is not None:
            operation["requestBody"] = _request_body(endpoint.request, components["schemas"])
        if not endpoint.public:
            operation["security"] = [{"core": []}]
    return description


def _operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in description["paths"].values():
        yield from path.values()


def _request_body(request: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(request).json_schema(ref_template=_SCHEMAS)
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    return {"required": False, "content": {"application/json": {"schema": schema}}}
