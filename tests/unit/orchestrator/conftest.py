"""An orchestrator over a real database file and a fake provider, called over HTTP without a port."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.app import create_app
from ucloud_ray.orchestrator.credentials import issue_user_token
from ucloud_ray.orchestrator.orchestrator import Orchestrator
from ucloud_ray.orchestrator.settings import OrchestratorSettings

DATA = Path(__file__).parents[2] / "data" / "orchestrator"


def example(name: str) -> Any:
    """A payload of the documentation."""
    return json.loads((DATA / f"{name}.json").read_text())


@dataclass
class Setup:
    orchestrator: Orchestrator
    provider: FakeProvider
    http: httpx.AsyncClient
    data_dir: Path

    def user(self, name: str = "user", admin: bool = False) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_user_token(self.data_dir, name, admin=admin)}"}

    def as_provider(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.provider_token(self.orchestrator.keys, 'example')}"}

    async def create(self, **changes: Any) -> str:
        """A batch job of the document; its id."""
        answer = await self.post("/api/jobs", batch(**changes))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["responses"][0]["id"])

    async def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query, headers=headers or self.user())

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.http.post(path, json=body, headers=headers or self.user())

    async def update(self, job_id: str, **update: Any) -> httpx.Response:
        body = {"items": [{"id": job_id, "update": update}]}
        return await self.post("/api/jobs/control/update", body, self.as_provider())

    async def job(self, job_id: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        answer = await self.get("/api/jobs/retrieve", headers, id=job_id, includeUpdates="true", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def batch(**changes: Any) -> dict[str, Any]:
    request = example("user-create-batch.request")
    request["items"][0].update(changes)
    return dict(request)


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="session")
def used_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and an empty database, made once: a key pair and the migrations take longer than a test."""
    data_dir = tmp_path_factory.mktemp("data")

    async def make() -> None:
        async with running(OrchestratorSettings(data_dir=data_dir, catalogue=()), FakeProvider()):
            pass

    asyncio.run(make())
    return data_dir


@pytest.fixture
def settings(tmp_path: Path, used_data_dir: Path) -> OrchestratorSettings:
    shutil.copytree(used_data_dir, tmp_path, dirs_exist_ok=True)
    return OrchestratorSettings(
        data_dir=tmp_path,
        provider_url="http://provider.example.com",
        call_timeout_seconds=0.5,
        retry_pause_seconds=0.0,
        support_poll_seconds=3600.0,
        max_body_bytes=100_000,
    )


@pytest.fixture
async def setup(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    async with running(settings, provider) as made:
        yield made


class running:  # noqa: N801  # reads as a verb where it is used: `async with running(...)`
    def __init__(self, settings: OrchestratorSettings, provider: FakeProvider) -> None:
        self._settings = settings
        self._provider = provider
        self._close: list[Callable[[], Any]] = []

    async def __aenter__(self) -> Setup:
        transport = httpx.ASGITransport(app=self._provider.app())
        orchestrator = await Orchestrator.open(self._settings, transport)
        app = httpx.ASGITransport(app=create_app(orchestrator), raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=app, base_url="http://core")
        self._close = [http.aclose, orchestrator.close]
        return Setup(orchestrator, self._provider, http, self._settings.data_dir)

    async def __aexit__(self, *_: object) -> None:
        for close in self._close:
            await close()
