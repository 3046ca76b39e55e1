"""`/auth`: users log in, out, and renew their tokens; administrators add and remove users. No rules here."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from ucloud_ray.orchestrator.errors import BadRequest, Unauthorized
from ucloud_ray.orchestrator.items import LogIn, NewPassword, NewUser, OwnPassword, UserName
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.requests import answer, bearer, parse, read_body, user_items, whole

router = APIRouter(prefix="/auth")

_LOGIN: TypeAdapter[LogIn] = TypeAdapter(LogIn)
_OWN: TypeAdapter[OwnPassword] = TypeAdapter(OwnPassword)
_NEW_USERS = TypeAdapter(list[NewUser])
_NAMES = TypeAdapter(list[UserName])
_PASSWORDS = TypeAdapter(list[NewPassword])
FORM = "application/x-www-form-urlencoded"


@router.post("/login")
async def log_in(request: Request) -> Response:
    """A form, as the web page sends it, or JSON."""
    orchestrator = _orchestrator(request)
    given = whole(await _content(request), _LOGIN)
    address = request.client.host if request.client else ""
    return _secret(await orchestrator.users.log_in(given.username, given.password, address))


@router.post("/refresh")
async def refresh(request: Request) -> Response:
    """With the refresh token as bearer (control-api 2.1)."""
    return _secret(await _orchestrator(request).users.refresh(_refresh_token(request)))


@router.post("/logout")
async def log_out(request: Request) -> Response:
    await _orchestrator(request).users.log_out(_refresh_token(request))
    return answer({})


@router.post("/users/register")
async def register(request: Request) -> Response:
    orchestrator = _operator(request)
    await orchestrator.users.add(user_items(await _content(request), _NEW_USERS))
    return answer({})


@router.get("/users/browse")
async def browse(request: Request) -> Response:
    return answer({"items": await _operator(request).users.browse()})


@router.post("/users/remove")
async def remove(request: Request) -> Response:
    orchestrator = _operator(request)
    await orchestrator.users.remove([item.username for item in user_items(await _content(request), _NAMES)])
    return answer({})


@router.post("/users/password/reset")
async def reset_password(request: Request) -> Response:
    orchestrator = _operator(request)
    for item in user_items(await _content(request), _PASSWORDS):
        await orchestrator.users.set_password(item.username, item.password)
    return answer({})


@router.post("/users/password")
async def change_password(request: Request) -> Response:
    """One's own."""
    orchestrator = _orchestrator(request)
    user = orchestrator.gate.user(bearer(request))
    given = whole(await _content(request), _OWN)
    await orchestrator.users.change_password(user, given.current_password, given.new_password)
    return answer({})


def _orchestrator(request: Request) -> Orchestrator:
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator


def _operator(request: Request) -> Orchestrator:
    orchestrator = _orchestrator(request)
    orchestrator.gate.admin(bearer(request))
    return orchestrator


def _refresh_token(request: Request) -> str:
    token = bearer(request)
    if not token:
        raise Unauthorized("The request carries no refresh token.")
    return token


async def _content(request: Request) -> dict[str, Any]:
    body = await read_body(request, _orchestrator(request).settings.max_body_bytes)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        try:
            return dict(parse_qsl(body.decode(), strict_parsing=True)) if body else {}
        except ValueError as error:
            raise BadRequest("body: is no form") from error
    content = parse(body)
    if not isinstance(content, dict):
        raise BadRequest("body: must be a JSON object")
    return content


def _secret(content: dict[str, str]) -> Response:
    response = answer(content)
    response.headers["Cache-Control"] = "no-store"
    return response
