"""Calls a stack's provider as its Core does, with the keys of its orchestrator. For scenarios in which that is away."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from ucloud_ray.cli import state_file
from ucloud_ray.orchestrator.keys import ProviderKeys
from ucloud_ray.orchestrator.tokens import ServiceToken

PROVIDER = "example"
SECONDS = 10.0


class Core:
    def __init__(self, data: Path, job: Mapping[str, Any]) -> None:
        """`job`: as the orchestrator has it, with everything about it; its copies are created. Raises
        `BenchmarkError`."""
        state = state_file.read(data)
        if state is None:
            raise BenchmarkError("the stack is gone")
        self._url = state.provider_url
        self._job = job
        self._token = ServiceToken(ProviderKeys(data, PROVIDER))
        self._number = 1_000_000

    def create(self) -> float:
        """Seconds until the provider has taken one more job of another id. Raises `BenchmarkError`."""
        self._number += 1
        new = {**self._job, "id": str(self._number), "createdAt": time.time_ns() // 1_000_000, "updates": []}
        token = self._token.current()
        began = time.perf_counter()
        _post(self._url, f"/ucloud/{PROVIDER}/jobs", {"items": [new]}, token)
        return time.perf_counter() - began


def _post(url: str, path: str, body: Any, token: str) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    try:
        connection.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        content = answer.read()
    except OSError as problem:
        raise BenchmarkError(f"the provider does not answer: {problem}") from problem
    finally:
        connection.close()
    if answer.status != 200:
        raise BenchmarkError(f"POST {path}: {answer.status} {content[:300].decode()}")
