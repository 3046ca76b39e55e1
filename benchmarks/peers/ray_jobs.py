"""Ray's own job submission: a private head with its dashboard, asked through `JobSubmissionClient`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.errors import BenchmarkError, Unavailable
from benchmarks.peers.services import free_ports, service, wait_until

ADDRESS = "127.0.0.3"
"""Loopback too, and not the address that `ucloud-ray up` gives its own Ray."""
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RayJobs:
    client: Any

    def submit_each(self, count: int, at_once: int) -> list[str]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda _: self.client.submit_job(entrypoint="true"), range(count)))

    def wait_until_succeeded(self, ids: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            states = {job.submission_id: str(job.status.value) for job in self.client.list_jobs()}
            found = {states.get(job_id, "PENDING") for job_id in ids}
            if found == {"SUCCEEDED"}:
                return
            if found & {"FAILED", "STOPPED"} or time.monotonic() > deadline:
                raise BenchmarkError(f"Ray's jobs are {', '.join(sorted(found))}")
            time.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def running() -> Iterator[RayJobs]:
    """Raises `Unavailable` where Ray's dashboard is not installed."""
    if importlib.util.find_spec("aiohttp_cors") is None:
        raise Unavailable("the dashboard is not installed; install ray[default]")
    # Short: a Unix socket's path has at most 107 bytes.
    folder, mark = Path(tempfile.mkdtemp(prefix="ucr-")), f"ray-jobs-{os.getpid()}"
    try:
        with _head(folder, mark) as dashboard:
            from ray.job_submission import JobSubmissionClient

            yield RayJobs(JobSubmissionClient(dashboard))
    finally:
        processes.end_all(mark)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _head(folder: Path, mark: str) -> Iterator[str]:
    port, dashboard, client, agent = free_ports(4, ADDRESS)
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--temp-dir={folder}"]
    command += [f"--port={port}", f"--node-ip-address={ADDRESS}", f"--ray-client-server-port={client}"]
    command += ["--include-dashboard=true", f"--dashboard-host={ADDRESS}", f"--dashboard-port={dashboard}"]
    command += [f"--dashboard-agent-listen-port={agent}", "--disable-usage-stats", "--object-store-memory=100000000"]
    command += ["--min-worker-port=0", "--max-worker-port=0"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    at_once = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", processes.MARK: mark}
    url = f"http://{ADDRESS}:{dashboard}"
    with service(command, folder / "head.log", plain | at_once):
        wait_until(lambda: _answers(f"{url}/api/jobs/"), "Ray's dashboard", folder / "head.log")
        yield url


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
