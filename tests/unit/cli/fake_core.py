"""A UCloud/Core in memory, behind httpx's transport seam: answers what the command line asks, and writes it down."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

BATCH: dict[str, Any] = {
    "metadata": {"name": "a-batch-application", "version": "1.0.0", "title": "A Batch Application"},
    "invocation": {
        "tool": {
            "name": "batch",
            "version": "1.0.0",
            "tool": {
                "description": {
                    "info": {"name": "batch", "version": "1.0.0"},
                    "backend": "DOCKER",
                    "image": "batch:1.0.0",
                }
            },
        },
        "parameters": [{"type": "text", "name": "var", "optional": False, "description": "An example input variable"}],
        "applicationType": "BATCH",
    },
}


def product(name: str, *backends: str) -> dict[str, Any]:
    category = {"name": "example-compute", "provider": "example"}
    enabled = {key: {"enabled": key in backends} for key in ("docker", "native", "virtualMachine")}
    return {
        "product": {"name": name, "category": category, "cpu": 10, "memoryInGigs": 20, "gpu": 0},
        "support": {**enabled, "queueStatus": "AVAILABLE"},
    }


def job(job_id: str, state: str, *updates: tuple[str, str]) -> dict[str, Any]:
    return {
        "id": job_id,
        "createdAt": 1_700_000_000_000,
        "owner": {"createdBy": "user", "project": None},
        "updates": [
            {"state": told, "status": status, "timestamp": 1_700_000_000_000 + number}
            for number, (told, status) in enumerate(updates)
        ],
        "specification": {
            "application": {"name": "a-batch-application", "version": "1.0.0"},
            "product": {"id": "example-compute", "category": "example-compute", "provider": "example"},
            "replicas": 1,
        },
        "status": {"state": state},
        "output": {"outputFolder": "/51231/Jobs/1"},
    }


@dataclass
class FakeCore:
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    products: list[dict[str, Any]] = field(default_factory=lambda: [product("example-compute", "docker")])
    applications: list[dict[str, Any]] = field(default_factory=lambda: [BATCH])
    logs: dict[tuple[int, str], str] | None = None
    """Rank and stream to text; None: a server without parts of logs."""
    usage: list[dict[str, Any]] | None = None
    utilization: dict[str, Any] | None = None
    wallets: list[dict[str, Any]] = field(default_factory=list)
    refuse: tuple[int, Any] | None = None
    """Status and body of every answer from now on."""
    added: list[dict[str, str]] | None = None
    """What it says of a file for the catalogue; None: it takes one document at a time, as UCloud/Core."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path, body."""
    authorization: str | None = None

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.authorization = request.headers.get("authorization")
        is_json = request.headers.get("content-type") == "application/json"
        body = json.loads(request.content) if is_json else request.content.decode()
        self.asked.append((request.method, request.url.path, body))
        if self.refuse:
            status, answer = self.refuse
            return (
                httpx.Response(status, json=answer)
                if not isinstance(answer, str)
                else httpx.Response(status, text=answer)
            )
        return self._route(request, body)

    def changes(self) -> list[tuple[str, Any]]:
        """Path and body of everything that was not just a question."""
        return [(path, body) for method, path, body in self.asked if method != "GET"]

    def _route(self, request: httpx.Request, body: Any) -> httpx.Response:
        match request.method, request.url.path:
            case "GET", "/api/hpc/apps":
                items = [{"metadata": entry["metadata"]} for entry in self.applications]
                return httpx.Response(200, json={"itemsInTotal": len(items), "items": items})
            case "GET", "/api/hpc/apps/byNameAndVersion":
                wanted = request.url.params["appName"]
                return httpx.Response(200, json=next(a for a in self.applications if a["metadata"]["name"] == wanted))
            case "GET", "/api/jobs/retrieveProducts":
                return httpx.Response(200, json={"productsByProvider": {"example": self.products}})
            case "GET", "/api/jobs/browse":
                return httpx.Response(200, json={"items": list(self.jobs.values()), "next": None})
            case "GET", "/api/jobs/retrieve":
                found = self.jobs.get(request.url.params["id"])
                return httpx.Response(200, json=found) if found else httpx.Response(404, json={"why": "Job not found"})
            case "GET", path if path.endswith("/logs") and self.logs is not None:
                return httpx.Response(200, json=self._part(self.logs, request.url.params))
            case "GET", path if path.endswith("/usage") and self.usage is not None:
                return httpx.Response(200, json={"ranks": self.usage})
            case "GET", "/api/jobs/retrieveUtilization" if self.utilization is not None:
                return httpx.Response(200, json=self.utilization)
            case "GET", "/api/accounting/wallets/browse":
                return httpx.Response(200, json={"items": self.wallets, "next": None})
            case "POST", "/api/accounting/wallets/grant":
                return httpx.Response(200, json={"responses": [{"id": "12"}]})
            case "POST", "/api/jobs":
                return httpx.Response(200, json={"responses": [{"id": "48920"}]})
            case "PUT", "/api/hpc/apps" if self.added is not None:
                return httpx.Response(200, json={"added": self.added})
            case (("POST" | "PUT" | "DELETE"), _):
                return httpx.Response(200, json={"responses": [{} for _ in body["items"]] if "items" in body else []})
        return httpx.Response(404, json={"why": "no such call"})

    def _part(self, logs: dict[tuple[int, str], str], query: httpx.QueryParams) -> dict[str, Any]:
        rank, stream = int(query["rank"]), query["stream"]
        data = logs.get((rank, stream), "").encode()
        offset = int(query["offset"])
        start = min(offset if offset >= 0 else max(0, len(data) + offset), len(data))
        piece = data[start : start + int(query["limit"])]
        end, state = start + len(piece), self.jobs["7"]["status"]["state"]
        place = {"rank": rank, "stream": stream, "offset": start, "nextOffset": end, "total": len(data)}
        return {**place, "text": piece.decode(), "state": state}
