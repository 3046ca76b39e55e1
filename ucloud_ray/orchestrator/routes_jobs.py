"""`/api/jobs` for users: each route reads its request, asks one service, answers. No rules here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response, WebSocket
from pydantic import TypeAdapter

from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.errors import BadRequest, Forbidden
from ucloud_ray.orchestrator.follow_socket import FollowSocket
from ucloud_ray.orchestrator.items import (
    AttachRequest,
    DynamicParametersRequest,
    JobSettings,
    LabelsItem,
    RenameItem,
    SessionItem,
)
from ucloud_ray.orchestrator.job_output import PART_OPTIONS
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, read_object, user_items, whole
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.common import FindByStringId
from ucloud_ray.wire.jobs import JobSpecification, UserExtendItem
from ucloud_ray.wire.resources import UpdatedAcl
from ucloud_ray.wire.sessions import OpenTerminalItem

router = APIRouter(prefix="/api/jobs")

_SPECIFICATIONS = TypeAdapter(list[JobSpecification])
_IDS = TypeAdapter(list[FindByStringId])
_EXTENSIONS = TypeAdapter(list[UserExtendItem])
_SESSIONS = TypeAdapter(list[SessionItem])
_ACLS = TypeAdapter(list[UpdatedAcl])
_LABELS = TypeAdapter(list[LabelsItem])
_ATTACH: TypeAdapter[AttachRequest] = TypeAdapter(AttachRequest)
_DYNAMIC: TypeAdapter[DynamicParametersRequest] = TypeAdapter(DynamicParametersRequest)
_SETTINGS: TypeAdapter[JobSettings] = TypeAdapter(JobSettings)
_FOLDERS = TypeAdapter(list[OpenTerminalItem])
_RENAMES = TypeAdapter(list[RenameItem])


@router.post("")
async def create(request: Request) -> Response:
    orchestrator, user = _caller(request)
    project = _workspace(request, user)
    specifications = user_items(await _content(request), _SPECIFICATIONS)
    return answer({"responses": await orchestrator.creation.create(user, specifications, project)})


@router.get("/retrieve")
async def retrieve(request: Request) -> Response:
    orchestrator, user = _caller(request)
    query = request.query_params
    flags, filters = job_query.parse_flags(query), job_query.parse_filters(query)
    return answer(await orchestrator.reading.retrieve(user, job_query.required(query, "id"), flags, filters))


@router.get("/browse")
async def browse(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return answer(await _browse(orchestrator, user, request.query_params, _workspace(request, user)))


@router.post("/search")
async def search(request: Request) -> Response:
    """K nests the flags, G does not; both are read."""
    orchestrator, user = _caller(request)
    content = await _content(request)
    nested = content.get("flags") or {}
    if not isinstance(nested, dict):
        raise BadRequest("flags: must be a JSON object")
    return answer(await _browse(orchestrator, user, {**content, **nested}, _workspace(request, user)))


@router.get("/settings/retrieve")
async def retrieve_settings(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return answer(await orchestrator.job_settings.retrieve(user))


@router.post("/settings")
async def update_settings(request: Request) -> Response:
    orchestrator, user = _caller(request)
    await orchestrator.job_settings.update(user, whole(await _content(request), _SETTINGS))
    return answer({})


@router.get("/{job_id}/logs")
async def logs(request: Request, job_id: str) -> Response:
    """Ours, not UCloud's: a part of the output by byte offset."""
    orchestrator, user = _caller(request)
    given = {name: request.query_params[name] for name in PART_OPTIONS if request.query_params.get(name)}
    return answer(await orchestrator.output.logs(user, job_id, given))


@router.get("/{job_id}/usage")
async def usage(request: Request, job_id: str) -> Response:
    """Ours, not UCloud's: what the ranks use."""
    orchestrator, user = _caller(request)
    history = request.query_params.get("history") == "true"
    return answer(await orchestrator.output.usage(user, job_id, history))


@router.get("/retrieveProducts")
async def retrieve_products(request: Request) -> Response:
    orchestrator, user = _caller(request)
    wanted = [name for name in request.query_params.get("providers", "").split(",") if name]
    found = orchestrator.products.by_provider(await orchestrator.wallets.usable(user, _workspace(request, user)))
    return answer({"productsByProvider": {name: found[name] for name in found if not wanted or name in wanted}})


@router.get("/retrieveUtilization")
async def retrieve_utilization(request: Request) -> Response:
    orchestrator, user = _caller(request)
    job_id = job_query.required(request.query_params, "jobId")
    return answer(await orchestrator.actions.utilization(user, job_id))


@router.post("/extend")
async def extend(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.extend(user, user_items(await _content(request), _EXTENSIONS)))


@router.post("/terminate")
async def terminate(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.terminate(user, user_items(await _content(request), _IDS)))


@router.post("/suspend")
async def suspend(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.suspend(user, user_items(await _content(request), _IDS)))


@router.post("/unsuspend")
async def unsuspend(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.unsuspend(user, user_items(await _content(request), _IDS)))


@router.post("/interactiveSession")
async def interactive_session(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.open_sessions(user, user_items(await _content(request), _SESSIONS)))


@router.post("/updateAcl")
async def update_acl(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return _responses(await orchestrator.actions.update_acl(user, user_items(await _content(request), _ACLS)))


@router.post("/rename")
async def rename(request: Request) -> Response:
    orchestrator, user = _caller(request)
    await orchestrator.actions.rename(user, user_items(await _content(request), _RENAMES))
    return answer({})


@router.post("/updateLabels")
async def update_labels(request: Request) -> Response:
    orchestrator, user = _caller(request)
    await orchestrator.actions.update_labels(user, user_items(await _content(request), _LABELS))
    return answer({})


@router.post("/attachResource")
@router.post("/detachResource")
async def attach_or_detach(request: Request) -> Response:
    orchestrator, user = _caller(request)
    wanted = whole(await _content(request), _ATTACH)
    await orchestrator.attaching.change(user, request.url.path.rpartition("/")[2], wanted)
    return answer({})


@router.post("/requestDynamicParameters")
async def request_dynamic_parameters(request: Request) -> Response:
    orchestrator, user = _caller(request)
    wanted = whole(await _content(request), _DYNAMIC)
    return answer({"parametersByProvider": await orchestrator.dynamic_parameters.of(user, wanted.application)})


@router.post("/openTerminalInFolder")
async def open_terminal_in_folder(request: Request) -> Response:
    """There are no sessions without a job."""
    _caller(request)
    user_items(await _content(request), _FOLDERS)
    raise BadRequest("Terminals in folders are not offered; start a job with the folder and use its files there.")


@router.post("/delete")
async def delete(request: Request) -> Response:
    """Ours, not UCloud's: the records are gone, and the provider finds out by itself. Administrators only."""
    orchestrator: Orchestrator = request.app.state.orchestrator
    orchestrator.gate.admin(bearer(request))
    wanted = user_items(await _content(request), _IDS)
    await orchestrator.removal.remove([item.id for item in wanted])
    return _responses([{} for _ in wanted])


@router.post("/init")
async def init(request: Request) -> Response:
    orchestrator, user = _caller(request)
    await orchestrator.actions.init(user)
    return answer({})


@router.websocket("")
async def follow(socket: WebSocket) -> None:
    orchestrator: Orchestrator = socket.app.state.orchestrator
    seconds = orchestrator.settings.ping_seconds
    await FollowSocket(socket, orchestrator.following, orchestrator.gate, seconds).serve()


async def _browse(orchestrator: Orchestrator, user: User, query: Any, project: str | None) -> dict[str, Any]:
    flags, filters = job_query.parse_flags(query), job_query.parse_filters(query)
    return await orchestrator.reading.browse(user, flags, filters, job_query.parse_page(query), project)


def _workspace(request: Request, user: User) -> str | None:
    """The project of the `Project` header; None is the caller's own workspace. Raises `Forbidden` for a project that
    the caller is not in (1.1)."""
    project = request.headers.get("project") or None
    if project is not None and user.membership.role(project) is None:
        raise Forbidden("You are not a member of this project; leave the Project header out.")
    return project


def _caller(request: Request) -> tuple[Orchestrator, User]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.user(bearer(request))


async def _content(request: Request) -> dict[str, Any]:
    return await read_object(request, request.app.state.orchestrator.settings.max_body_bytes)


def _responses(responses: list[Any]) -> Response:
    return answer({"responses": responses})
