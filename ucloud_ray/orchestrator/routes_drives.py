"""`/api/files/collections`, as far as drives are shared, for users and for the provider. No rules here."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, read_object, user_items
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.resources import UpdatedAcl

router = APIRouter(prefix="/api/files/collections")

_ACLS = TypeAdapter(list[UpdatedAcl])


@router.get("/browse")
async def browse(request: Request) -> Response:
    orchestrator, user = _user(request)
    return answer(await orchestrator.drives.browse(user, *_page(request), _others(request)))


@router.get("/retrieve")
async def retrieve(request: Request) -> Response:
    orchestrator, user = _user(request)
    drive_id = job_query.required(request.query_params, "id")
    return answer(await orchestrator.drives.retrieve(user, drive_id, _others(request)))


@router.post("/updateAcl")
async def update_acl(request: Request) -> Response:
    orchestrator, user = _user(request)
    content = await read_object(request, orchestrator.settings.max_body_bytes)
    return answer({"responses": await orchestrator.drives.update_acl(user, user_items(content, _ACLS))})


@router.get("/control/browse")
async def control_browse(request: Request) -> Response:
    orchestrator = _provider(request)
    text = request.query_params.get("filterIds", "")
    ids = [drive for drive in text.split(",") if drive] if text else None
    return answer(await orchestrator.drives.browse_provider(ids, *_page(request), _others(request)))


@router.get("/control/retrieve")
async def control_retrieve(request: Request) -> Response:
    orchestrator = _provider(request)
    drive_id = job_query.required(request.query_params, "id")
    return answer(await orchestrator.drives.retrieve_provider(drive_id, _others(request)))


def _user(request: Request) -> tuple[Orchestrator, User]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.user(bearer(request))


def _provider(request: Request) -> Orchestrator:
    orchestrator: Orchestrator = request.app.state.orchestrator
    orchestrator.gate.provider(bearer(request))
    return orchestrator


def _page(request: Request) -> tuple[int, int]:
    query = request.query_params
    return job_query.parse_page_size(query), job_query.parse_offset(query)


def _others(request: Request) -> bool:
    return job_query.parse_flag(request.query_params, "includeOthers")
