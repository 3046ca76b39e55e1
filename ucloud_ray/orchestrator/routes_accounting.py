"""`/api/accounting`: wallets for users, grants for administrators, usage and notices for providers. No rules here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response, WebSocket
from pydantic import TypeAdapter

from ucloud_ray.orchestrator.items import GrantItem
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, items, read_object, user_items
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.accounting import UsageReport

router = APIRouter(prefix="/api/accounting")

_GRANTS = TypeAdapter(list[GrantItem])
_USAGE = TypeAdapter(list[UsageReport])


@router.get("/wallets/browse")
async def browse(request: Request) -> Response:
    orchestrator, user = _caller(request)
    project = request.headers.get("project")
    return answer(await orchestrator.wallets.browse(user, project, request.query_params))


@router.get("/v2/browseWallets")
async def browse_current(request: Request) -> Response:
    orchestrator, user = _caller(request)
    project = request.headers.get("project")
    return answer(await orchestrator.wallets.browse_current(user, project, request.query_params))


@router.post("/wallets/grant")
async def grant(request: Request) -> Response:
    """Ours, not UCloud's. Administrators only."""
    orchestrator: Orchestrator = request.app.state.orchestrator
    admin = orchestrator.gate.admin(bearer(request))
    return answer({"responses": await orchestrator.wallets.grant(admin, user_items(await _content(request), _GRANTS))})


@router.post("/v2/reportUsage")
async def report_usage(request: Request) -> Response:
    orchestrator: Orchestrator = request.app.state.orchestrator
    provider = orchestrator.gate.provider(bearer(request)).id
    reports = items(await _content(request), _USAGE)
    return answer({"responses": await orchestrator.charging.report(provider, reports)})


@router.websocket("/notifications")
async def notifications(socket: WebSocket) -> None:
    orchestrator: Orchestrator = socket.app.state.orchestrator
    await orchestrator.notices.serve(socket)


def _caller(request: Request) -> tuple[Orchestrator, User]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.user(bearer(request))


async def _content(request: Request) -> dict[str, Any]:
    return await read_object(request, request.app.state.orchestrator.settings.max_body_bytes)
