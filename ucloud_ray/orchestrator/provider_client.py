"""Calls to one provider, as UCloud/Core makes them (provider-api 1 to 4, O14, O15). Knows no jobs.

449, 503 on behalf of a user     `integration/init`, a pause, again; six attempts in all, then passed on
other non-2xx                    passed on: status, why, errorCode
timeout, refused, not an object  502 for the user
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from ucloud_ray.orchestrator.errors import BadGateway, ProviderRefused
from ucloud_ray.orchestrator.tokens import ServiceToken

ATTEMPTS = 6
AGAIN = frozenset({449, 503})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallSettings:
    provider_id: str
    url: str
    """Origin, without a slash at the end."""
    timeout_seconds: float
    retry_pause_seconds: float


class ProviderClient:
    def __init__(self, http: httpx.AsyncClient, settings: CallSettings, token: ServiceToken) -> None:
        self._http = http
        self._settings = settings
        self._token = token
        self._base = f"{settings.url}/ucloud/{settings.provider_id}"

    @property
    def id(self) -> str:
        return self._settings.provider_id

    async def get(self, path: str, query: Mapping[str, str] | None = None, username: str | None = None) -> Any:
        """Raises `ProviderRefused`, `BadGateway`. Without `username` the Core calls for itself, and once only."""
        if username is None:
            return _result(await self._send("GET", path, None, query, None))
        return await self._for_user("GET", path, None, query, username)

    async def post(self, path: str, content: Any, username: str) -> Any:
        return await self._for_user("POST", path, orjson.dumps(content), None, username)

    async def bulk(self, path: str, items: list[Any], username: str, method: str = "POST") -> list[Any]:
        """`responses` of a bulk call; G's serialiser leaves an empty list out."""
        result = await self._for_user(method, path, orjson.dumps({"items": items}), None, username)
        responses = result.get("responses") if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(responses, (list, type(None))):
            raise _bad_answer()
        return responses or []

    def follow_url(self, username: str) -> str:
        """WebSocket with the output of jobs (provider-api 7.1)."""
        scheme, _, rest = self._settings.url.partition("://")
        hint = base64.urlsafe_b64encode(username.encode()).decode()
        socket_scheme = "wss" if scheme == "https" else "ws"
        return f"{socket_scheme}://{rest}/ucloud/jobs.provider.{self.id}/websocket?usernameHint={hint}"

    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.current()}"}

    async def _for_user(
        self, method: str, path: str, content: bytes | None, query: Mapping[str, str] | None, username: str
    ) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            response = await self._send(method, path, content, query, username)
            if response.status_code not in AGAIN or attempt == ATTEMPTS:
                break
            await self._init(username)
            await asyncio.sleep(self._settings.retry_pause_seconds)
        return _result(response)

    async def _init(self, username: str) -> None:
        """Ask the provider to prepare the user. Whether that works shows in the next attempt."""
        try:
            await self._send("POST", "integration/init", orjson.dumps({"username": username}), None, username)
        except BadGateway as error:
            _log.info("integration/init failed: %s", error)

    async def _send(
        self, method: str, path: str, content: bytes | None, query: Mapping[str, str] | None, username: str | None
    ) -> httpx.Response:
        headers = self.authorization()
        if username is not None:
            headers["ucloud-username"] = base64.b64encode(username.encode()).decode()
        if content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await self._http.request(
                    method, f"{self._base}/{path}", content=content, params=query, headers=headers
                )
        except TimeoutError as error:
            raise BadGateway(f"The provider {self.id} does not answer in time; try again later.") from error
        except httpx.HTTPError as error:
            raise BadGateway(f"The provider {self.id} cannot be reached; try again later.") from error


def _result(response: httpx.Response) -> Any:
    if response.is_success:
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise _bad_answer() from error
    if response.status_code < 400:
        raise _bad_answer()
    raise _refusal(response)


def _refusal(response: httpx.Response) -> ProviderRefused:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        body = {}
    why, code = body.get("why"), body.get("errorCode")
    return ProviderRefused(
        response.status_code,
        why if isinstance(why, str) else "The provider refused the request without saying why.",
        code if isinstance(code, str) else None,
        _seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(told: str) -> int | None:
    """Of the two forms that the header has only this one says anything without a look at the clock."""
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 7 else None


def _bad_answer() -> BadGateway:
    return BadGateway("Bad response from provider")
