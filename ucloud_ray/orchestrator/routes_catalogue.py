"""Applications, tools and products for users, and adding to the catalogue for administrators."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from ucloud_ray.appfile.content import Document
from ucloud_ray.orchestrator import job_query
from ucloud_ray.orchestrator.catalogue import read_documents
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, read_body

router = APIRouter(prefix="/api")


@router.get("/hpc/apps")
async def list_applications(request: Request) -> Response:
    orchestrator = _logged_in(request)
    query = request.query_params
    return answer(orchestrator.catalogue.page(job_query.parse_page_size(query), job_query.parse_page_number(query)))


@router.get("/hpc/apps/byNameAndVersion")
async def find_application(request: Request) -> Response:
    orchestrator = _logged_in(request)
    query = request.query_params
    name, version = job_query.required(query, "appName"), job_query.required(query, "appVersion")
    return answer(orchestrator.catalogue.get(name, version).detail)


@router.get("/hpc/apps/search")
async def search_applications(request: Request) -> Response:
    """Old paging, as the list of all (K)."""
    orchestrator = _logged_in(request)
    query = request.query_params
    size, number = job_query.parse_page_size(query), job_query.parse_page_number(query)
    return answer(orchestrator.catalogue.page(size, number, query.get("query") or ""))


@router.put("/hpc/tools")
@router.post("/hpc/tools/upload")
@router.put("/hpc/apps")
@router.post("/hpc/apps/upload")
async def upload(request: Request) -> Response:
    """YAML as body; its documents say themselves what they are. All of them are added, or none. Administrators only."""
    orchestrator, user, documents = await _documents(request)
    await orchestrator.catalogue.add(documents, user)
    return answer({"added": _names(documents)})


@router.put("/hpc/apps/check")
async def check(request: Request) -> Response:
    """The same without adding anything. UCloud/Core has no such call."""
    orchestrator, _, documents = await _documents(request)
    orchestrator.catalogue.check(documents)
    return answer({"added": [], "checked": _names(documents)})


async def _documents(request: Request) -> tuple[Orchestrator, str, list[Document]]:
    orchestrator: Orchestrator = request.app.state.orchestrator
    user = orchestrator.gate.admin(bearer(request))
    body = await read_body(request, orchestrator.settings.max_body_bytes)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The document is not UTF-8 text.") from error
    # Reading a large document takes seconds; jobs must not wait for it.
    return orchestrator, user.name, await asyncio.to_thread(read_documents, text)


def _names(documents: list[Document]) -> list[dict[str, str]]:
    return [{"kind": d.kind, "name": d.key.name, "version": d.key.version} for d in documents]


@router.get("/products/browse")
async def browse_products(request: Request) -> Response:
    orchestrator = _logged_in(request)
    size = job_query.parse_page_size(request.query_params)
    # Products are a handful; a page of any size holds them all.
    return answer({"itemsPerPage": size, "items": orchestrator.products.browse(request.query_params), "next": None})


@router.get("/products/v2/browse")
async def browse_products_v2(request: Request) -> Response:
    orchestrator = _logged_in(request)
    size = job_query.parse_page_size(request.query_params)
    items = orchestrator.products.browse_v2(request.query_params)
    return answer({"itemsPerPage": size, "items": items, "next": None})


def _logged_in(request: Request) -> Orchestrator:
    orchestrator: Orchestrator = request.app.state.orchestrator
    orchestrator.gate.user(bearer(request))
    return orchestrator
