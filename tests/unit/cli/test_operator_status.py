"""What an operator sees of the provider: the call behind `status`, `nodes` and `utilization`, and how they show it."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.cli.conftest import Cli
from ucloud_ray.cli import nodes, operator_api
from ucloud_ray.control.errors import NotFound, NotReady
from ucloud_ray.control.service import OperatorService, ProductSupport, QueueEntry, Utilization
from ucloud_ray.domain.ids import JobId, Millis, ProductId
from ucloud_ray.provider import operator

NODE = {"host": "n1", "address": "10.0.0.2", "alive": True, "backends": ["NATIVE"], "problems": {"docker": "no daemon"}}


class FakeService:
    ready = True

    def __init__(self) -> None:
        self.orders: list[tuple[object, ...]] = []
        self.charges: dict[str, int] = {"waiting": 0}

    async def queue(self) -> list[QueueEntry]:
        return [
            QueueEntry(JobId(name), name[0], 1, "alice", "whole", 2, Millis(0), f"Waiting for room: {name}")
            for name in ("c1", "d1")
        ]

    async def drain(self, host: str, message: str) -> int:
        if host != "n-1":
            raise NotFound(f"There is no machine called {host}.")
        self.orders.append(("drain", host, message))
        return 3

    async def undrain(self, host: str) -> int:
        self.orders.append(("undrain", host))
        return 3

    async def leftovers(self, collect: bool) -> list[dict[str, Any]]:
        self.orders.append(("leftovers", collect))
        return [
            {"host": "n1", "backend": "DOCKER", "task": "j-7-job-0", "job": "7", "gpus": ["0"], "seenForSeconds": 4}
        ]

    async def status(self) -> Mapping[str, Any]:
        if not self.ready:
            raise NotReady("The supervisor is away.")
        waits = {"outbox": {"waiting": 0}, "charges": self.charges}
        return {"ready": True, "activeJobs": 2, "queues": {"c": 1}, **waits, "nodes": [NODE]}

    async def support(self) -> list[ProductSupport]:
        return [ProductSupport(ProductId(name, "c", "example"), {}, "AVAILABLE") for name in ("a", "b")]

    async def utilization(self, category: str) -> Utilization:
        return Utilization(40, 80_000_000_000, 10, 20_000_000_000, 1, 1)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    """A provider whose data lies in ./ucloud-ray-data and that answers only with the token of that folder."""
    import asyncio

    service, app = FakeService(), FastAPI()
    operator.install(app, cast("OperatorService", service), operator.operator_token(tmp_path / "ucloud-ray-data"))

    def request(method: str, url: str, *, timeout: float, **what: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
                return await client.request(method, url, **what)

        return asyncio.run(ask())

    monkeypatch.setattr(httpx, "request", request)
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
def test_status_tells_what_the_core_has_not_taken_and_since_when(cli: Cli, service: FakeService) -> None:
    """ACC-22."""
    service.charges = {"waiting": 7, "oldestAt": int(time.time() * 1000) - 2 * 3600_000}
    shown = " ".join(cli("status").out.split())
    assert "outbox: 0 update(s) wait" in shown
    assert "charges: 7 charge(s) wait, the oldest for 2h" in shown


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


@pytest.mark.usefixtures("configured")
def test_a_machine_is_drained_and_taken_back_by_name(cli: Cli, service: FakeService) -> None:
    """SCH-15."""
    drained = cli("nodes", "drain", "n-1", "--message", "New disks on Friday")
    assert (drained.status, drained.out) == (0, "")
    assert "n-1 takes no new jobs; 3 job(s) there were told" in drained.err
    assert json.loads(cli("nodes", "undrain", "n-1", "--json").out) == {"host": "n-1", "told": 3}
    assert service.orders == [("drain", "n-1", "New disks on Friday"), ("undrain", "n-1")]


@pytest.mark.usefixtures("configured")
def test_a_mistake_about_a_machine_is_told_and_orders_nothing(cli: Cli, service: FakeService) -> None:
    assert "There is no machine called n2" in cli("nodes", "drain", "n2").err
    assert "at most 200 characters" in cli("nodes", "drain", "n-1", "--message", "x" * 201).err
    assert "too long" in cli("nodes", "drain", "n-1", "--message", "x" * 100_000).err
    assert cli("nodes", "drain", " ").status == 2
    assert service.orders == []


@pytest.mark.usefixtures("configured")
def test_leftovers_are_shown_and_only_collected_when_told_to(cli: Cli, service: FakeService) -> None:
    """ENV-59."""
    header, row = cli("nodes", "leftovers").out.splitlines()
    assert header.split() == ["NODE", "KIND", "TASK", "JOB", "GPUS", "SEEN", "FOR"]
    assert row.split() == ["n1", "DOCKER", "j-7-job-0", "7", "0", "4", "s"]
    assert service.orders == [("leftovers", False)]
    assert "1 destroyed" in cli("nodes", "leftovers", "--collect").err
    assert service.orders == [("leftovers", False), ("leftovers", True)]


@pytest.mark.usefixtures("service", "configured")
def test_the_queue_says_who_waits_and_why(cli: Cli) -> None:
    """SCH-13."""
    assert [line.split()[:6] for line in cli("jobs", "queue").out.splitlines()[1:]] == [
        ["c", "1", "c1", "alice", "whole", "2"],
        ["d", "1", "d1", "alice", "whole", "2"],
    ]
    [one] = json.loads(cli("jobs", "queue", "d", "--json").out)
    assert one["why"] == "Waiting for room: d1"


def test_a_machine_in_maintenance_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    nodes.show_nodes([NODE | {"maintenance": "new disks"}, NODE | {"host": "n2", "maintenance": ""}])
    assert "alive, in maintenance (new disks)" in (shown := capsys.readouterr().out)
    assert shown.splitlines()[2].split()[2:5] == ["alive,", "in", "maintenance"]


@pytest.mark.parametrize("body", [b"[]", b'{"message": 3}', b"{", b'{"message": ' + b"[" * 50_000])
async def test_an_order_with_a_broken_body_is_refused(body: bytes) -> None:
    service, app = FakeService(), FastAPI()
    operator.install(app, cast("OperatorService", service), "secret")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider") as client:
        headers = {"Authorization": "Bearer secret"}
        answer = await client.put("/ucloud-ray/nodes/n-1/drain", content=body, headers=headers)
        for method, path in (("PUT", "/nodes/x/drain"), ("DELETE", "/leftovers"), ("GET", "/queue")):
            assert (await client.request(method, f"/ucloud-ray{path}")).status_code == 401
    assert answer.status_code == 400
    assert service.orders == []
