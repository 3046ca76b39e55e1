"""The control API as methods. For the publisher, reconciliation and charging. Repeats nothing but a token."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import httpx

from ucloud_ray.core_client.auth import AccessTokens
from ucloud_ray.core_client.errors import CoreAuthFailed, CoreRefused, CoreUnavailable
from ucloud_ray.core_client.http import CoreHttp
from ucloud_ray.core_client.wire_format import (
    Charge,
    ChargeAnswer,
    Item,
    Report,
    charge_answer,
    charge_item,
    report_answer,
    report_item,
    update_item,
)
from ucloud_ray.domain.ids import JobId
from ucloud_ray.settings import CoreSettings

T = TypeVar("T")
_PAGE = 250
_IDS_AT_ONCE = 100
"""In one question; an address has an end."""
Flag = str | int | bool


class CoreClient:
    """Every call may raise `CoreUnavailable`, `CoreAuthFailed`, `CoreRefused` or `CoreUnknownJob`.

    A 403 counts only after the token was renewed and the call repeated: G answers an expired token with it.
    """

    def __init__(
        self,
        settings: CoreSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = CoreHttp(settings.url, settings.timeout_seconds, transport)
        self._tokens = AccessTokens(settings, self._access_token, monotonic)

    async def update(self, items: Sequence[Item]) -> None:
        """`jobs/control/update`; applied when this returns. At most one item of a job (LC-20)."""
        await self._post("/api/jobs/control/update", [update_item(item) for item in items])

    async def retrieve(self, job_id: JobId, **flags: Flag) -> dict[str, Any]:
        """One `Job` (control-api 5.1); flags such as `includeUpdates=True`. `CoreUnknownJob` if it is not ours."""
        return await self._call("GET", "/api/jobs/control/retrieve", query={"id": job_id, **_query(flags)})

    async def browse(self, **flags: Flag) -> AsyncIterator[dict[str, Any]]:
        """All our `Job`s that pass the filters, newest first, page by page (control-api 5.2)."""
        async for job in self._pages("/api/jobs/control/browse", flags):
            yield job

    async def drives(self, ids: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
        """Those of these drives that the Core has as ours, with whom they are shared (control-api 10.4)."""
        flags: dict[str, Flag] = {"filterIds": ",".join(ids), "includeOthers": True}
        async for drive in self._pages("/api/files/collections/control/browse", flags):
            yield drive

    async def knows(self, job_id: JobId) -> bool:
        """Whether the Core surely has this job as ours.

        `browse` rather than `retrieve`: it answers 200 with an empty page, so "unknown" is never confused with "this
        token is not accepted" (REC-9).
        """
        async for job in self.browse(filterIds=job_id, itemsPerPage=10):
            if job.get("id") == job_id:
                return True
        return False

    async def newest_updates(self, ids: Sequence[JobId]) -> dict[str, dict[str, Any]]:
        """What each of these jobs was told last, as the Core keeps it; without those that it does not know, and those
        that were told nothing."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            wanted = ",".join(ids[start : start + _IDS_AT_ONCE])
            async for job in self.browse(filterIds=wanted, includeUpdates=True):
                if updates := _shaped(job, lambda job: list(job.get("updates") or [])):
                    found[str(job.get("id"))] = updates[-1]
        return found

    async def charge_credits(self, charges: Sequence[Charge]) -> ChargeAnswer:
        """`jobs/control/chargeCredits` (control-api 8.3)."""
        return await self._charge("chargeCredits", charges)

    async def check_credits(self, charges: Sequence[Charge]) -> ChargeAnswer:
        """Like `charge_credits`, without charging."""
        return await self._charge("checkCredits", charges)

    async def report_usage(self, reports: Sequence[Report]) -> list[bool]:
        """`accounting/v2/reportUsage` (control-api 8.1): for each whether its wallet is not locked."""
        answer = await self._post("/api/accounting/v2/reportUsage", [report_item(report) for report in reports])
        return _shaped(answer, lambda answer: report_answer(answer, len(reports)))

    async def access_token(self) -> str:
        """For the Core's sockets, which want it in their first frame."""
        return await self._tokens.get()

    async def close(self) -> None:
        await self._http.close()

    async def _pages(self, path: str, flags: dict[str, Flag]) -> AsyncIterator[dict[str, Any]]:
        query = {"itemsPerPage": str(_PAGE), **_query(flags)}
        while True:
            page = await self._call("GET", path, query=query)
            for item in _shaped(page, lambda page: list(page["items"])):
                yield item
            if not (following := page.get("next")):
                return
            query["next"] = str(following)

    async def _charge(self, operation: str, charges: Sequence[Charge]) -> ChargeAnswer:
        answer = await self._post(f"/api/jobs/control/{operation}", [charge_item(charge) for charge in charges])
        return _shaped(answer, charge_answer)

    async def _post(self, path: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        return await self._call("POST", path, body={"items": items})

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        token = await self._tokens.get()
        try:
            return await self._http.exchange(method, path, token, **request)
        except CoreRefused as error:
            if error.status not in (401, 403):
                raise
        token = await self._tokens.get(instead_of=token)
        try:
            return await self._http.exchange(method, path, token, **request)
        except CoreRefused as error:
            if error.status != 401:
                raise
            raise CoreAuthFailed(f"UCloud/Core does not accept a token that it just gave us ({error.why}).") from None

    async def _access_token(self, refresh_token: str) -> str:
        request = {"items": [{"refreshToken": refresh_token}]}
        answer = await self._http.exchange("POST", "/auth/providers/refresh", None, body=request)
        return _shaped(answer, lambda answer: str(answer["responses"][0]["accessToken"]))


def _query(flags: dict[str, Flag]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in flags.items()}


def _shaped(answer: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
    try:
        return read(answer)
    except (KeyError, IndexError, TypeError):
        raise CoreUnavailable("UCloud/Core sent an answer of an unknown shape.", reached=True, down=False) from None
