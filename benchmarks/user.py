"""A user's script: creates jobs over the end-user API and learns how they went.

Plain keep-alive connections of the standard library, because whatever a client costs is taken from the same machine.
Times are taken from the updates that the orchestrator recorded, so that nobody has to ask while jobs run.
"""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.errors import BenchmarkError

FINAL = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
UNFINISHED = ("IN_QUEUE", "RUNNING", "CANCELING")
"""In the order in which a job goes through them: when none is in the first, then none in the second, all are over."""
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 300.0
PAGE = 250
IDLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobReport:
    """Milliseconds since the epoch, as the orchestrator stamped them when it received the updates."""

    state: str
    running_at: int | None
    final_at: int | None
    reason: str


@dataclass(slots=True)
class User:
    url: str
    token: str = field(repr=False)
    _own: threading.local = field(default_factory=threading.local, repr=False)

    def create(self, specifications: Sequence[Mapping[str, Any]]) -> list[str]:
        """Ids, when the request is answered. Raises `BenchmarkError` if an item was refused."""
        answer = self._call("POST", "/api/jobs", {"items": specifications})
        if not all(answer["responses"]):
            raise BenchmarkError("the provider refused a job; see its log")
        return [entry["id"] for entry in answer["responses"]]

    def create_each(self, specification: Mapping[str, Any], count: int, connections: int) -> list[str]:
        """One request per job, over so many connections at once."""
        with ThreadPoolExecutor(connections) as pool:
            return list(pool.map(lambda _: self.create([specification])[0], range(count)))

    def wait_until_final(self) -> None:
        """Until no job of ours is unfinished: three small queries at the end, one now and then before it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for state in UNFINISHED:
            while self.browse({"filterState": state, "itemsPerPage": "1"})["items"]:
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"a job is still {state} after {PATIENCE_SECONDS:.0f} s; see the logs")
                time.sleep(LOOK_SECONDS)

    def wait_until_over(self, ids: Sequence[str]) -> None:
        """Like `wait_until_final`, for these jobs."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(report.state not in FINAL for report in self.reports(ids)):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"jobs do not end within {PATIENCE_SECONDS:.0f} s; see the logs")
            time.sleep(LOOK_SECONDS)

    def log_size(self, job_id: str) -> int:
        """Bytes that the first rank wrote to standard output, as far as they arrived."""
        return int(self._call("GET", f"/api/jobs/{job_id}/logs?offset=-1")["total"])

    def terminate(self, ids: Iterable[str]) -> None:
        self._call("POST", "/api/jobs/terminate", {"items": [{"id": job_id} for job_id in ids]})

    def reports(self, ids: Sequence[str]) -> list[JobReport]:
        found: dict[str, JobReport] = {}
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            query = {"filterIds": ",".join(some), "itemsPerPage": str(PAGE), "includeUpdates": "true"}
            found.update({job["id"]: _report(job) for job in self.browse(query)["items"]})
        return [found[job_id] for job_id in ids]

    def whole_job(self, job_id: str) -> Any:
        """Its document, with everything about it."""
        flags = "&".join(f"include{part}=true" for part in ("Application", "Parameters", "Product", "Support"))
        return self._call("GET", f"/api/jobs/retrieve?id={job_id}&{flags}")

    def browse(self, query: Mapping[str, str]) -> Any:
        """A page of jobs."""
        return self._call("GET", f"/api/jobs/browse?{urlencode(query)}")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        with connection.getresponse() as response:
            content = response.read()
        if response.status != 200:
            raise BenchmarkError(f"{method} {path.partition('?')[0]}: {response.status} {content[:300].decode()}")
        return json.loads(content)

    def _connection(self) -> http.client.HTTPConnection:
        """One per thread; a new one after a pause, because the server closes idle ones."""
        now = time.monotonic()
        if now - getattr(self._own, "used_at", -math.inf) > IDLE_SECONDS:
            address = urlsplit(self.url)
            self._own.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        self._own.used_at = now
        connection: http.client.HTTPConnection = self._own.connection
        return connection


def check_succeeded(reports: Iterable[JobReport]) -> None:
    """A rate of jobs that failed is none."""
    for report in reports:
        if report.state != "SUCCESS":
            raise BenchmarkError(f"a job ended as {report.state}: {report.reason}")


def _report(job: Mapping[str, Any]) -> JobReport:
    updates = job["updates"]
    running = next((entry["timestamp"] for entry in updates if entry["state"] == "RUNNING"), None)
    final = next((entry["timestamp"] for entry in updates if entry["state"] in FINAL), None)
    reason = next((entry["status"] for entry in reversed(updates) if entry["status"]), "")
    return JobReport(job["status"]["state"], running, final, reason)
