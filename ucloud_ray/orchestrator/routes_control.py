"""The control API: what the provider calls (control-api). Only with a token of that provider."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from ucloud_ray import __version__
from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.errors import Unauthorized
from ucloud_ray.orchestrator.items import ExistenceItem, LabelsItem, RegisterItem
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, items, read_object
from ucloud_ray.orchestrator.tokens import provider_token
from ucloud_ray.wire.accounting import ChargeItem, RefreshToken
from ucloud_ray.wire.updates import JobUpdateItem

router = APIRouter()

_REFRESH = TypeAdapter(list[RefreshToken])
_UPDATES = TypeAdapter(list[JobUpdateItem])
_CHARGES = TypeAdapter(list[ChargeItem])
_EXISTENCE = TypeAdapter(list[ExistenceItem])
_LABELS = TypeAdapter(list[LabelsItem])
_REGISTRATIONS = TypeAdapter(list[RegisterItem])


@router.post("/auth/providers/refresh")
async def refresh(request: Request) -> Response:
    """Without an access token: the refresh token is the credential (control-api 2.1)."""
    orchestrator: Orchestrator = request.app.state.orchestrator
    given = items(await _content(request), _REFRESH)
    if not all(orchestrator.keys.is_refresh_token(item.refresh_token) for item in given):
        raise Unauthorized("Unknown refresh token. Configure the provider with the one of its registration.")
    provider_id = orchestrator.settings.provider_id
    return answer({"responses": [{"accessToken": provider_token(orchestrator.keys, provider_id)} for _ in given]})


@router.post("/api/jobs/control/update")
async def update(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    await orchestrator.control.update(provider, items(await _content(request), _UPDATES))
    return answer({})


@router.post("/api/jobs/control/register")
async def register(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    registered = await orchestrator.registration.register(provider, items(await _content(request), _REGISTRATIONS))
    return answer({"responses": registered})


@router.get("/api/jobs/control/retrieve")
async def retrieve(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    query = request.query_params
    flags, filters = job_query.parse_flags(query), job_query.parse_filters(query)
    return answer(await orchestrator.control.retrieve(provider, job_query.required(query, "id"), flags, filters))


@router.get("/api/jobs/control/browse")
async def browse(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    query = request.query_params
    flags, filters = job_query.parse_flags(query), job_query.parse_filters(query)
    return answer(await orchestrator.control.browse(provider, flags, filters, job_query.parse_page(query)))


@router.post("/api/jobs/control/updateLabels")
async def update_labels(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    await orchestrator.control.update_labels(provider, items(await _content(request), _LABELS))
    return answer({})


@router.post("/api/jobs/control/chargeCredits")
async def charge_credits(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    return answer(await orchestrator.charging.charge(provider, items(await _content(request), _CHARGES)))


@router.post("/api/jobs/control/checkCredits")
async def check_credits(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    return answer(await orchestrator.charging.check(provider, items(await _content(request), _CHARGES)))


@router.post("/api/providers/resources/checkExistence")
async def check_existence(request: Request) -> Response:
    orchestrator, provider = _caller(request)
    found = await orchestrator.control.exist(provider, items(await _content(request), _EXISTENCE))
    return answer({"responses": found})


@router.get("/api/status")
async def status(request: Request) -> Response:
    """For `up` and monitoring, without a token: is this server of use?"""
    orchestrator: Orchestrator = request.app.state.orchestrator
    support = orchestrator.support
    provider = {
        "id": orchestrator.settings.provider_id,
        "reachable": support.reachable,
        "answeredAt": support.answered_at,
    }
    ready = bool(orchestrator.products.by_provider())
    return answer({"version": __version__, "ready": ready, "provider": provider})


def _caller(request: Request) -> tuple[Orchestrator, str]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.provider(bearer(request)).id


async def _content(request: Request) -> dict[str, Any]:
    return await read_object(request, request.app.state.orchestrator.settings.max_body_bytes)
