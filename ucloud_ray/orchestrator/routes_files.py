"""`/api/files`, as far as files go; drives are in `routes_drives`. No rules here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.access import EDIT, READ
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, read_object, user_items
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.common import to_wire
from ucloud_ray.wire.files import FileItem, MoveItem

router = APIRouter(prefix="/api/files")

_FILES = TypeAdapter(list[FileItem])
_MOVES = TypeAdapter(list[MoveItem])


@router.get("/browse")
async def browse(request: Request) -> Response:
    orchestrator, user = _user(request)
    query = request.query_params
    page = {
        "itemsPerPage": job_query.parse_page_size(query),
        **{name: query[name] for name in ("next", "sortBy", "sortDirection") if query.get(name)},
    }
    return answer(await orchestrator.files.browse(user, job_query.required(query, "path"), page))


@router.get("/retrieve")
async def retrieve(request: Request) -> Response:
    orchestrator, user = _user(request)
    return answer(await orchestrator.files.retrieve(user, job_query.required(request.query_params, "id")))


@router.post("/folder")
async def folder(request: Request) -> Response:
    return await _each(request, "files/folder", EDIT)


@router.post("/upload")
async def upload(request: Request) -> Response:
    return await _each(request, "files/upload", EDIT)


@router.post("/download")
async def download(request: Request) -> Response:
    return await _each(request, "files/download", READ)


@router.post("/trash")
async def trash(request: Request) -> Response:
    return await _each(request, "files/trash", EDIT)


@router.post("/emptyTrash")
async def empty_trash(request: Request) -> Response:
    return await _each(request, "files/emptyTrash", EDIT)


@router.delete("")
async def delete(request: Request) -> Response:
    return await _each(request, "files", EDIT, "DELETE")


@router.post("/move")
async def move(request: Request) -> Response:
    orchestrator, user = _user(request)
    content = await read_object(request, orchestrator.settings.max_body_bytes)
    items = [to_wire(item) for item in user_items(content, _MOVES)]
    return answer({"responses": await orchestrator.files.move(user, items)})


async def _each(request: Request, call: str, needed: str, method: str = "POST") -> Response:
    orchestrator, user = _user(request)
    content = await read_object(request, orchestrator.settings.max_body_bytes)
    items: list[dict[str, Any]] = [to_wire(item, omit_null=True) for item in user_items(content, _FILES)]
    return answer({"responses": await orchestrator.files.each(user, call, items, needed, method)})


def _user(request: Request) -> tuple[Orchestrator, User]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator, orchestrator.gate.user(bearer(request))
