"""The provider's HTTP application: which part answers what. Built by `bootstrap`, served by uvicorn."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from ucloud_ray import __version__
from ucloud_ray.control.service import JobService, LogFollower, LogReader
from ucloud_ray.control.terminal_client import open_terminal
from ucloud_ray.gateway.addresses import WebAddresses
from ucloud_ray.gateway.desktop import DesktopSocket
from ucloud_ray.gateway.room import SessionRoom
from ucloud_ray.gateway.routes import Routes
from ucloud_ray.gateway.shell import ShellSocket
from ucloud_ray.gateway.web import WebGateway
from ucloud_ray.provider import endpoint, openapi, platform
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.provider.errors import no_such_call
from ucloud_ray.provider.files_bytes import FileBytes
from ucloud_ray.provider.files_calls import FileCalls
from ucloud_ray.provider.files_drives import FileDrives
from ucloud_ray.provider.files_tokens import FileTokens
from ucloud_ray.provider.follow import FollowSocket
from ucloud_ray.provider.jobs import JobCalls
from ucloud_ray.provider.output import OutputCalls
from ucloud_ray.provider.products import ProductCalls
from ucloud_ray.provider.room import CallRoom, StreamRoom
from ucloud_ray.settings import Settings
from ucloud_ray.wire.catalogue import ConfiguredCatalogue

BODIES_AT_ONCE = 8
"""Of the largest size; ordinary ones are a thousandth of it."""


def create_app(
    service: JobService, follower: LogFollower, reader: LogReader, settings: Settings, verifier: TokenVerifier
) -> FastAPI:
    """Everything UCloud/Core may ask of us. The service may not be ready yet: then calls are answered 503."""
    provider = settings.provider
    app = FastAPI(
        title=f"Provider API of {provider.id}",
        summary="What UCloud/Core calls. Every error is an object with `why`, a text for users.",
        version=__version__,
        openapi_url=f"/ucloud/{provider.id}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: no_such_call},
    )
    catalogue = ConfiguredCatalogue(settings)
    calls_at_once = CallRoom(provider.max_requests, BODIES_AT_ONCE * provider.max_body_bytes)
    around = endpoint.Surroundings(provider.id, verifier, provider.max_body_bytes, calls_at_once)
    addresses = WebAddresses.of(settings)
    drives, tokens = FileDrives(settings), FileTokens(settings.data_dir)
    address = f"{(provider.public_url or f'http://{provider.listen}').rstrip('/')}/ucloud/{provider.id}"
    calls = [
        *JobCalls(service, catalogue, addresses).endpoints(),
        *ProductCalls(service).endpoints(),
        *OutputCalls(reader).endpoints(),
        *FileCalls(drives, tokens, address).endpoints(),
        *platform.endpoints(),
    ]
    for call in calls:
        endpoint.add(app, call, around)
    FileBytes(drives, tokens).install(app, f"/ucloud/{provider.id}")
    streams = StreamRoom(provider.max_follows)
    socket = FollowSocket(follower, provider.id, verifier, streams, channels=settings.policy.follow_channels)
    app.add_api_websocket_route(f"/ucloud/jobs.provider.{provider.id}/websocket", socket.serve)
    sessions = SessionRoom(provider.max_sessions)
    terminals = ShellSocket(service, open_terminal, provider.id, sessions, provider.ui_origins)
    app.add_api_websocket_route(f"/ucloud/{provider.id}/websocket", terminals.serve)
    routes = Routes(service)
    app.add_api_websocket_route(f"/ucloud/{provider.id}/vnc", DesktopSocket(routes, sessions).serve)
    app.add_middleware(WebGateway, addresses=addresses, routes=routes)
    openapi.install(app, calls)
    return app
