"""What an operator sees of the provider: the call behind `status`, `nodes` and `utilization`, and how they show it."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.cli.conftest import Cli
from ucloud_ray.cli import operator_api
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.service import JobService, ProductSupport, Utilization
from ucloud_ray.domain.ids import ProductId
from ucloud_ray.provider import operator

NODE = {"host": "n1", "address": "10.0.0.2", "alive": True, "backends": ["NATIVE"], "problems": {"docker": "no daemon"}}


class FakeService:
    ready = True

    async def status(self) -> Mapping[str, Any]:
        if not self.ready:
            raise NotReady("The supervisor is away.")
        return {"ready": True, "activeJobs": 2, "queues": {"c": 1}, "outbox": {"waiting": 0}, "nodes": [NODE]}

    async def support(self) -> list[ProductSupport]:
        return [ProductSupport(ProductId(name, "c", "example"), {}, "AVAILABLE") for name in ("a", "b")]

    async def utilization(self, category: str) -> Utilization:
        return Utilization(40, 80_000_000_000, 10, 20_000_000_000, 1, 1)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    """A provider whose data lies in ./ucloud-ray-data and that answers only with the token of that folder."""
    import asyncio

    service, app = FakeService(), FastAPI()
    operator.install(app, cast("JobService", service), operator.operator_token(tmp_path / "ucloud-ray-data"))

    def get(url: str, *, headers: dict[str, str], timeout: float) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
                return await client.get(url, headers=headers)

        return asyncio.run(ask())

    monkeypatch.setattr(httpx, "get", get)
    return service


def test_both_sides_mean_the_same_call_and_file() -> None:
    assert (operator_api.PATH, operator_api.TOKEN_FILE) == (operator.PATH, operator.TOKEN_FILE)


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    token = operator.operator_token(tmp_path)
    assert operator.operator_token(tmp_path) == token
    assert len(token) > 30
    assert stat.S_IMODE((tmp_path / operator.TOKEN_FILE).stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def configured(tmp_path: Path) -> None:
    (tmp_path / "ucloud-ray.yaml").write_text("dataDir: ucloud-ray-data\n")


@pytest.mark.usefixtures("service", "configured")
def test_nodes_shows_what_is_wrong_with_a_machine(cli: Cli) -> None:
    header, row = cli("nodes").out.splitlines()
    assert header.split() == ["NODE", "ADDRESS", "STATE", "RUNS", "PROBLEMS"]
    assert row.split() == ["n1", "10.0.0.2", "alive", "NATIVE", "docker:", "no", "daemon"]


@pytest.mark.usefixtures("service", "configured")
def test_utilization_counts_each_category_once(cli: Cli) -> None:
    assert cli("utilization").out.splitlines()[1].split() == ["c", "10", "40", "20", "GB", "80", "GB", "1", "1"]
    assert list(json.loads(cli("utilization", "--json").out)) == ["c"]


@pytest.mark.usefixtures("service", "configured")
def test_status_shows_the_provider_alone_where_up_was_not_used(cli: Cli) -> None:
    outcome = cli("status")
    assert outcome.status == 0
    assert "queue:       c: 1" in outcome.out


@pytest.mark.usefixtures("configured")
def test_another_token_is_refused(cli: Cli, service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "ucloud-ray-data" / operator.TOKEN_FILE).write_text("forged")
    outcome = cli("nodes")
    assert (outcome.status, outcome.out) == (1, "")
    assert "answered 401" in outcome.err


@pytest.mark.usefixtures("configured")
def test_a_supervisor_that_is_away_is_a_reason_and_not_a_crash(cli: Cli, service: FakeService) -> None:
    service.ready = False
    outcome = cli("status")
    assert outcome.status == 1
    assert "answered 503: The supervisor is away." in outcome.err
