"""One HTTP exchange with the Core; every failure of httpx and every bad status becomes an error of ours here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from ucloud_ray.core_client.errors import CoreRefused, CoreUnavailable, CoreUnknownJob

_PASSING = frozenset({408, 425, 429, 449})
"""4xx that speak of the moment, not of the request."""
_MAYBE_APPLIED = frozenset({500, 502, 504})


class CoreHttp:
    """`timeout_seconds` holds for connecting and for every pause of an answer. Closed by its owner."""

    def __init__(self, url: str, timeout_seconds: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=timeout_seconds, transport=transport)

    async def exchange(
        self,
        method: str,
        path: str,
        token: str | None,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON object of a 2xx answer. Raises `CoreUnavailable`, `CoreUnknownJob` (403, 404), `CoreRefused`."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, separators=(",", ":"))
        try:
            response = await self._client.request(method, path, headers=headers, content=content, params=query)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise CoreUnavailable(f"UCloud/Core does not answer: {_reason(error)}", reached=False, down=True) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise CoreUnavailable(
                f"UCloud/Core broke off its answer: {_reason(error)}", reached=True, down=False
            ) from None
        return _read(response)

    async def close(self) -> None:
        await self._client.aclose()


def _read(response: httpx.Response) -> dict[str, Any]:
    answer, status = _object(response), response.status_code
    if response.is_success and answer is not None:
        return answer
    if status == 401 or (status in (403, 404) and answer is not None):
        raise _by_status(status, _why(answer))
    if 400 <= status < 500 and status not in _PASSING and status not in (403, 404):
        raise CoreRefused(status, _why(answer))
    # A 403 or 404 without JSON is a proxy's, or a wrong address, and says nothing about jobs (control-api 1.2).
    why = f"UCloud/Core answered {status} {_why(answer)}. If this goes on, check core.url."
    raise CoreUnavailable(why, reached=response.is_success or status in _MAYBE_APPLIED, down=status != 500)


def _by_status(status: int, why: str) -> CoreRefused:
    return CoreRefused(status, why) if status == 401 else CoreUnknownJob(status, why)


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = json.loads(response.content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _why(answer: dict[str, Any] | None) -> str:
    why = None if answer is None else answer.get("why")
    return why if isinstance(why, str) else "without saying why"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
