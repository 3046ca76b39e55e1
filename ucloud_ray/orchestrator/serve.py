"""Runs the orchestrator in this process until SIGTERM or SIGINT. Called by `bootstrap`."""

from __future__ import annotations

import uvicorn

from ucloud_ray.orchestrator.app import create_app
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.settings import OrchestratorSettings

GRACE_SECONDS = 5


async def serve(settings: OrchestratorSettings) -> None:
    """Raises `db.errors.StoreError` when the database cannot be used, `BadRequest` for a seed that is wrong; uvicorn
    ends the process with a line of its own when the address is taken."""
    orchestrator = await Orchestrator.open(settings)
    try:
        await uvicorn_server(orchestrator).serve()
    finally:
        await orchestrator.close()


def uvicorn_server(orchestrator: Orchestrator) -> uvicorn.Server:
    host, _, port = orchestrator.settings.listen.rpartition(":")
    config = uvicorn.Config(
        create_app(orchestrator),
        host.strip("[]"),
        int(port),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # output is local or compressed by a proxy; deflate costs more than it saves
    )
    return uvicorn.Server(config)
