"""FastAPI around an `Orchestrator`: routes, and every failure in UCloud's error body."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from ucloud_ray import __version__
from ucloud_ray.db.errors import StoreError
from ucloud_ray.orchestrator import (
    routes_accounting,
    routes_auth,
    routes_catalogue,
    routes_control,
    routes_drives,
    routes_files,
    routes_jobs,
    routes_projects,
)
from ucloud_ray.orchestrator.errors import ApiError
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer
from ucloud_ray.orchestrator.room import RequestRoom

_log = logging.getLogger(__name__)


class _Other(ApiError):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def create_app(orchestrator: Orchestrator) -> FastAPI:
    """The caller opens and closes the orchestrator."""
    app = FastAPI(title="ucloud-ray orchestrator", version=__version__, openapi_url=None)
    app.state.orchestrator = orchestrator
    settings = orchestrator.settings
    app.add_middleware(RequestRoom, most=settings.options.max_requests, most_body_bytes=settings.max_body_bytes)
    include_routes(app)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def include_routes(app: FastAPI) -> None:
    """Everything that the orchestrator serves."""
    for routes in (
        routes_auth,
        routes_projects,
        routes_control,
        routes_jobs,
        routes_drives,
        routes_files,
        routes_accounting,
        routes_catalogue,
    ):
        app.include_router(routes.router)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    response = answer(error.body(), error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _store_error(_: Request, error: Exception) -> Response:
    _log.error("the database refused: %s", error)
    return answer(_Other(503, "The database cannot be used now; try again later.").body(), 503)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    why = f"There is no {request.method} {request.url.path} here." if error.status_code in (404, 405) else error.detail
    return answer(_Other(error.status_code, why).body(), error.status_code)


async def _unexpected(_: Request, error: Exception) -> Response:
    _log.error("unexpected failure", exc_info=error)
    return answer(_Other(500, "Something went wrong here; the log of the server says what.").body(), 500)
