"""Calls the end-user API of UCloud/Core or of our orchestrator (end-user-api). One object per command.

Every failure becomes one of `errors`: what happened and what to do about it. Tests hand in a transport.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from ucloud_ray.cli.errors import NotLoggedIn, Refused, Unreachable

Json = Any


@dataclass(frozen=True, slots=True)
class Connection:
    host: str
    """`http://127.0.0.1:8080`."""
    token: str = field(repr=False)
    project: str | None = None
    """Active workspace; None is the user's own."""


class Api:
    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None = None) -> None:
        self.connection = connection
        headers = {"Authorization": f"Bearer {connection.token}"}
        if connection.project:
            headers["Project"] = connection.project
        self._http = httpx.Client(base_url=connection.host, headers=headers, timeout=30.0, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    # -- jobs

    def create(self, specification: Mapping[str, Any]) -> str:
        """The id of the new job."""
        answer = self.post("/api/jobs", {"items": [specification]})
        return str(answer["responses"][0]["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        flags = {"includeUpdates": "true", "includeApplication": "true", "includeProduct": "true"}
        job: dict[str, Any] = self.get("/api/jobs/retrieve", {"id": job_id, **flags})
        return job

    def usage(self, job_id: str) -> list[dict[str, Any]]:
        """What each rank uses, of our own orchestrator; nothing of one that does not tell."""
        try:
            ranks: list[dict[str, Any]] = self.get(f"/api/jobs/{job_id}/usage", {}).get("ranks") or []
        except Refused:
            return []
        return ranks

    def jobs(self, filters: Mapping[str, str], at_most: int) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = []
        query = {"itemsPerPage": "100", "includeUpdates": "true", **filters}
        while len(found) < at_most:
            page = self.get("/api/jobs/browse", query)
            found.extend(page.get("items") or [])
            if not page.get("next"):
                break
            query["next"] = page["next"]
        return found[:at_most]

    def act(self, operation: str, items: list[dict[str, Any]]) -> None:
        """`terminate`, `extend`, `suspend`, `unsuspend` (end-user-api 5)."""
        self.post(f"/api/jobs/{operation}", {"items": items})

    def wallets(self, everybody: bool) -> list[dict[str, Any]]:
        """As the mission document shows them; everybody's for administrators of our own orchestrator."""
        return self.every("/api/accounting/wallets/browse", {"everybody": "true"} if everybody else {})

    def grant(self, item: Mapping[str, Any]) -> str:
        """The id of the new allocation. Only of our own orchestrator."""
        answer = self.post("/api/accounting/wallets/grant", {"items": [item]})
        return str(answer["responses"][0]["id"])

    def supported_products(self) -> list[dict[str, Any]]:
        """`ResolvedSupport` of every provider, in the provider's order."""
        by_provider = self.get("/api/jobs/retrieveProducts", {}).get("productsByProvider") or {}
        return [entry for entries in by_provider.values() for entry in entries or []]

    # -- applications

    def applications(self) -> Iterator[dict[str, Any]]:
        """Summaries of the catalogue, page after page (old paging, end-user-api 10)."""
        page = 0
        while True:
            answer = self.get("/api/hpc/apps", {"itemsPerPage": "100", "page": str(page)})
            items = answer.get("items") or []
            yield from items
            page += 1
            if not items or page * 100 >= answer.get("itemsInTotal", 0):
                return

    def application(self, name: str, version: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/hpc/apps/byNameAndVersion", {"appName": name, "appVersion": version})
        return found

    # -- plumbing

    def every(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """What is on all pages."""
        found: list[dict[str, Any]] = []
        page: Json = {"next": ""}
        while page.get("next") is not None:
            page = self.get(path, {"itemsPerPage": "250", **query, **({"next": page["next"]} if page["next"] else {})})
            found.extend(page.get("items") or [])
        return found

    def delete(self, path: str, body: Json) -> Json:
        return self._answer("DELETE", path, json=body)

    def get(self, path: str, query: Mapping[str, str]) -> Json:
        return self._answer("GET", path, params=dict(query))

    def post(self, path: str, body: Json) -> Json:
        return self._answer("POST", path, json=body)

    def send_text(self, method: str, path: str, text: str, content_type: str) -> Json:
        return self._answer(method, path, content=text.encode(), headers={"Content-Type": content_type})

    def _answer(self, method: str, path: str, **request: Any) -> Json:
        try:
            response = self._http.request(method, path, **request)
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.connection.host} does not answer in time", "try again in a moment") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise unreachable(self.connection.host) from error
        return _checked(response, self.connection.host)


def unreachable(host: str) -> Unreachable:
    return Unreachable(f"nothing answers at {host}", "start it with `ucloud-ray up`, or correct --host")


def _checked(response: httpx.Response, host: str) -> Json:
    if response.status_code == 401:
        raise NotLoggedIn(
            f"{host} does not accept the token (it may have expired)",
            "get a new one with `ucloud-ray token`, or correct --token",
            401,
        )
    if not response.is_success:
        body = _json(response)
        raise Refused(_why(response, body), status=response.status_code, body=body)
    if not response.content:
        return {}
    try:
        return response.json()
    except ValueError as error:
        raise Unreachable(f"{host} does not answer like UCloud/Core", "correct --host") from error


def _json(response: httpx.Response) -> Json:
    try:
        return response.json()
    except ValueError:
        return None


def _why(response: httpx.Response, body: Json) -> str:
    why = body.get("why") if isinstance(body, dict) else None
    return str(why) if why else f"the server answered {response.status_code} {response.reason_phrase}"
