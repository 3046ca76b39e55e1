"""A UCloud/Core over real HTTP that applies updates as control-api 4.2 says and fails as told.

Only the control API, only what a provider's updates need. It is no model of the Core's database: it exists to be asked
what arrived, in which request, and what a user would see.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

FINAL = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
REFRESH_TOKEN = "refresh-token"


class Fault(Enum):
    """What happens to one update request instead of an ordinary answer."""

    LOST_REPLY = auto()
    """Applied, but half of the answer is lost with the connection."""
    NOT_JSON = auto()
    """Applied, but the answer is a text."""
    HANG = auto()
    """Not applied, no answer until `release`."""


@dataclass
class FakeJob:
    id: str
    state: str = "IN_QUEUE"
    created_at: object = 1_700_000_000_000
    updates: list[dict[str, Any]] = field(default_factory=list)
    """Those that were applied; `request` is the number of the request that brought it."""

    @property
    def states(self) -> list[str]:
        """As a user sees them one after another."""
        return [update["state"] for update in self.updates if update.get("state")]

    @property
    def texts(self) -> list[str]:
        return [update["status"] for update in self.updates if update.get("status")]

    def apply(self, update: dict[str, Any], request: int) -> None:
        state = update.get("state")
        if update.get("expectedDifferentState") and state is not None and state == self.state:
            return
        if self.state in FINAL and state is not None and state not in FINAL:
            return
        self.state = state or self.state
        self.updates.append({**update, "request": request})


class FakeCore:
    """`async with fake.running():` serves it at `fake.url`. `faults`: one per update request, in order: a `Fault` or a
    status code. `poison`: job id to the status of every request that contains it."""

    def __init__(self, *known: str, token_lifetime: float = 600.0) -> None:
        self.url = ""
        self.jobs = {name: FakeJob(name) for name in known}
        self.faults: deque[Fault | int] = deque()
        self.poison: dict[str, int | Fault] = {}
        self.requests: list[list[dict[str, Any]]] = []
        """Items of every update request that was let in, applied or not."""
        self.most_at_once = 0
        """Update requests that were under way at the same time."""
        self.refreshes = 0
        self.refuse_refresh: int | None = None
        self.other: list[tuple[str, dict[str, Any]]] = []
        """Path and body of other calls."""
        self.charges: dict[str, dict[str, Any]] = {}
        """By name; the first one counts."""
        self.usage: dict[tuple[str, str], int] = {}
        """By workspace and scope, as reported last."""
        self.broke: set[str] = set()
        """Jobs and workspaces without funds."""
        self.money_faults: deque[Fault | int] = deque()
        """Like `faults`, of the calls that charge and report."""
        self.money_poison: dict[str, int] = {}
        """Like `poison`; job or scope."""
        self.pages = 0
        """Of jobs that were given out."""
        self.last_page: int | None = None
        """After so many pages every further one is answered with 502."""
        self.after_page: Callable[[str | None], object] = lambda state: None
        """Called with the state that was filtered by."""
        self.on_request: Callable[[], Awaitable[object]] | None = None
        self._token_lifetime = token_lifetime
        self._tokens: set[str] = set()
        self._at_once = 0
        self._released = asyncio.Event()
        self._port = 0

    def add(self, *ids: str) -> None:
        self.jobs.update({name: FakeJob(name) for name in ids})

    def expire_tokens(self) -> None:
        """Every token given so far is answered with 403 from now on, as G does (control-api 1.2)."""
        self._tokens.clear()

    def release(self) -> None:
        """Let requests that hang go on."""
        self._released.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeCore]:
        """On a free port at first, on the same one when it comes back."""
        server = uvicorn.Server(
            uvicorn.Config(self._app(), host="127.0.0.1", port=self._port, log_config=None, lifespan="off")
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.005)
        self._port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        try:
            yield self
        finally:
            self.release()
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                await serving

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/auth/providers/refresh", self._refresh, methods=["POST"]),
                Route("/api/jobs/control/update", self._update, methods=["POST"]),
                Route("/api/jobs/control/retrieve", self._retrieve),
                Route("/api/jobs/control/browse", self._browse),
                Route("/api/jobs/control/chargeCredits", self._money(self._charge), methods=["POST"]),
                Route("/api/jobs/control/checkCredits", self._money(self._charge), methods=["POST"]),
                Route("/api/accounting/v2/reportUsage", self._money(self._report), methods=["POST"]),
            ]
        )

    async def _refresh(self, request: Request) -> Response:
        body = await request.json()
        self.refreshes += 1
        if self.refuse_refresh:
            return _error(self.refuse_refresh, "Refused")
        if body != {"items": [{"refreshToken": REFRESH_TOKEN}]} or "authorization" in request.headers:
            return _error(401, "Bad refresh token")
        now = time.time()
        claims = {"sub": "#P_example", "iat": now, "exp": now + self._token_lifetime, "jti": str(self.refreshes)}
        token = jwt.encode(claims, "k" * 32, algorithm="HS256")
        self._tokens.add(token)
        return JSONResponse({"responses": [{"accessToken": token, "csrfToken": ""}]})

    def _let_in(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self._tokens

    async def _update(self, request: Request) -> Response:
        if not self._let_in(request):
            return _error(403, "Forbidden")
        items = (await request.json())["items"]
        self.requests.append(items)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.on_request:
                await self.on_request()
            return await self._answer(items, len(self.requests))
        finally:
            self._at_once -= 1

    async def _answer(self, items: list[dict[str, Any]], number: int) -> Response:
        fault = self.faults.popleft() if self.faults else None
        fault = fault or next((self.poison[item["id"]] for item in items if item["id"] in self.poison), None)
        if isinstance(fault, int):
            return _error(fault, f"Told to answer {fault}")
        if fault is Fault.HANG:
            await self._released.wait()
            return _error(500, "Hung")
        for item in items:
            if item["id"] not in self.jobs:
                return _error(404, f"Not found or permission denied ({item['id']})")
            if item["update"].get("timestamp", 0) is None:
                return _error(400, "Invalid request supplied")
        for item in items:
            self.jobs[item["id"]].apply(item["update"], number)
        if fault is Fault.NOT_JSON:
            return PlainTextResponse("<html>")
        return JSONResponse({}) if fault is None else _Broken()

    async def _retrieve(self, request: Request) -> Response:
        if not self._let_in(request):
            return _error(403, "Forbidden")
        job = self.jobs.get(request.query_params["id"])
        return _error(403, "Write permission is required") if job is None else JSONResponse(_as_job(job))

    async def _browse(self, request: Request) -> Response:
        """Two jobs a page, whatever was asked, so that paging is always met."""
        if not self._let_in(request):
            return _error(403, "Forbidden")
        if self.pages == self.last_page:
            return _error(502, "Gone in the middle")
        self.pages += 1
        query = request.query_params
        jobs = [
            _as_job(job)
            for job in self.jobs.values()
            if job.id in query.get("filterIds", job.id).split(",") and query.get("filterState", job.state) == job.state
        ]
        start = int(query.get("next", "0"))
        following = str(start + 2) if start + 2 < len(jobs) else None
        self.after_page(query.get("filterState"))
        return JSONResponse({"itemsPerPage": 2, "items": jobs[start : start + 2], "next": following})

    def _money(self, answer: Callable[[str, list[dict[str, Any]]], Response]) -> Callable[..., Awaitable[Response]]:
        """All of a request or nothing; what goes wrong then is the answer alone, unless it is a status."""

        async def serve(request: Request) -> Response:
            if not self._let_in(request):
                return _error(403, "Forbidden")
            body = await request.json()
            self.other.append((request.url.path, body))
            fault = self.money_faults.popleft() if self.money_faults else None
            named = [item.get("id") or item["description"]["scope"] for item in body["items"]]
            fault = fault or next((self.money_poison[name] for name in named if name in self.money_poison), None)
            if isinstance(fault, int):
                return _error(fault, f"Told to answer {fault}")
            if fault is Fault.HANG:
                await self._released.wait()
                return _error(500, "Hung")
            found = answer(request.url.path, body["items"])
            return PlainTextResponse("<html>") if fault is Fault.NOT_JSON else _Broken() if fault else found

        return serve

    def _charge(self, path: str, items: list[dict[str, Any]]) -> Response:
        if unknown := [item["id"] for item in items if item["id"] not in self.jobs]:
            return _error(404, f"Not found or permission denied ({unknown[0]})")
        poor = [{"id": item["id"]} for item in items if item["id"] in self.broke]
        again = [{"id": item["id"]} for item in items if item["chargeId"] in self.charges]
        if path.endswith("chargeCredits"):
            self.charges = {item["chargeId"]: item for item in items} | self.charges
        return JSONResponse({"insufficientFunds": poor, "duplicateCharges": again})

    def _report(self, _: str, items: list[dict[str, Any]]) -> Response:
        owners = [item["owner"].get("projectId") or item["owner"]["username"] for item in items]
        for owner, item in zip(owners, items, strict=True):
            self.usage[owner, item["description"]["scope"]] = item["usage"]
        return JSONResponse({"responses": [owner not in self.broke for owner in owners]})


class _Broken(Response):
    """An answer that announces more than it sends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"50")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"resp', "more_body": False})


def _as_job(job: FakeJob) -> dict[str, Any]:
    return {"id": job.id, "createdAt": job.created_at, "status": {"state": job.state}, "updates": job.updates}


def _error(status: int, why: str) -> Response:
    return JSONResponse({"statusCode": status, "why": why, "errorCode": "", "detailedCode": 0}, status_code=status)
