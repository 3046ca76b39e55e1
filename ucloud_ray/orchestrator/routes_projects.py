"""`/api/projects/v2`: projects, members, groups. The project is that of the `Project` header. No rules here."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.items import (
    GroupMember,
    InviteItem,
    MemberRole,
    NewGroup,
    NewTitle,
    ProjectId,
    ProjectSpecification,
    UserName,
)
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, read_object, user_items
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.common import FindByStringId

T = TypeVar("T")
router = APIRouter(prefix="/api/projects/v2")

_PROJECTS = TypeAdapter(list[ProjectSpecification])
_TITLES = TypeAdapter(list[NewTitle])
_INVITES = TypeAdapter(list[InviteItem])
_PROJECT_IDS = TypeAdapter(list[ProjectId])
_NAMES = TypeAdapter(list[UserName])
_ROLES = TypeAdapter(list[MemberRole])
_GROUPS = TypeAdapter(list[NewGroup])
_IDS = TypeAdapter(list[FindByStringId])
_GROUP_MEMBERS = TypeAdapter(list[GroupMember])


@router.get("/browse")
async def browse(request: Request) -> Response:
    orchestrator, user = _caller(request)
    size = job_query.parse_page_size(request.query_params)
    return answer({"itemsPerPage": size, "items": orchestrator.projects.browse(user), "next": None})


@router.get("/retrieve")
async def retrieve(request: Request) -> Response:
    orchestrator, user = _caller(request)
    return answer(orchestrator.projects.retrieve(user, job_query.required(request.query_params, "id")))


@router.post("")
async def create(request: Request) -> Response:
    orchestrator, user = _caller(request)
    wanted = await _items(request, _PROJECTS)
    return answer({"responses": await orchestrator.projects.create(user, [item.title for item in wanted])})


@router.post("/renameProject")
async def rename(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _TITLES):
        await orchestrator.projects.rename(user, item.id, item.new_title)
    return answer({})


@router.get("/browseInvites")
async def browse_invites(request: Request) -> Response:
    """To the caller; with a `Project` header and `filterType=OUTGOING` those of that project."""
    orchestrator, user = _caller(request)
    outgoing = request.query_params.get("filterType") == "OUTGOING"
    items = orchestrator.projects.invites(user, _project(request) if outgoing else None)
    return answer({"itemsPerPage": job_query.parse_page_size(request.query_params), "items": items, "next": None})


@router.post("/createInvite")
async def create_invite(request: Request) -> Response:
    orchestrator, user = _caller(request)
    names = [item.recipient for item in await _items(request, _INVITES)]
    await orchestrator.projects.invite(user, _project(request), names)
    return answer({})


@router.post("/acceptInvite")
async def accept_invite(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _PROJECT_IDS):
        await orchestrator.projects.accept(user, item.project)
    return answer({})


@router.post("/deleteInvite")
async def delete_invite(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _INVITES):
        project = item.project or _project(request)
        await orchestrator.projects.take_back_invite(user, project, item.recipient)
    return answer({})


@router.post("/deleteMember")
async def delete_member(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _NAMES):
        await orchestrator.projects.remove_member(user, _project(request), item.username)
    return answer({})


@router.post("/changeRole")
async def change_role(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _ROLES):
        await orchestrator.projects.change_role(user, _project(request), item.username, item.role)
    return answer({})


@router.post("/createGroup")
async def create_group(request: Request) -> Response:
    orchestrator, user = _caller(request)
    made = [
        {"id": await orchestrator.projects.create_group(user, item.project or _project(request), item.title)}
        for item in await _items(request, _GROUPS)
    ]
    return answer({"responses": made})


@router.post("/deleteGroup")
async def delete_group(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _IDS):
        await orchestrator.projects.delete_group(user, item.id)
    return answer({})


@router.post("/createGroupMember")
async def create_group_member(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _GROUP_MEMBERS):
        await orchestrator.projects.add_to_group(user, item.group, item.username)
    return answer({})


@router.post("/deleteGroupMember")
async def delete_group_member(request: Request) -> Response:
    orchestrator, user = _caller(request)
    for item in await _items(request, _GROUP_MEMBERS):
        await orchestrator.projects.remove_from_group(user, item.group, item.username)
    return answer({})


def _caller(request: Request) -> tuple[Orchestrator, User]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.user(bearer(request))


def _project(request: Request) -> str:
    project = request.headers.get("project", "")
    if not project:
        raise BadRequest("This call is about a project: name its id in the header `Project`.")
    return project


async def _items(request: Request, adapter: TypeAdapter[list[T]]) -> list[T]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    content: dict[str, Any] = await read_object(request, orchestrator.settings.max_body_bytes)
    return user_items(content, adapter)
