"""What the orchestrator answered is on disk, and its books are exact, however often it is killed (control-api 4.2, 8).

The process is a real one, the provider is played: it charges, reports usage and tells updates from several
connections at once, and repeats whatever was not answered."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.cli.ports import any_free
from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.credentials import issue_user_token
from ucloud_ray.orchestrator.keys import ProviderKeys
from ucloud_ray.orchestrator.settings import EXAMPLE_PRODUCT, OrchestratorSettings
from ucloud_ray.settings import OrchestratorOptions

GRANT, ROUNDS, EACH, PRICE = 10**12, 4, 60, EXAMPLE_PRODUCT.price
"""Credits; kills; answers between two of them."""
WORKERS = 6


@dataclass
class Core:
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    answered: int = 0
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        token = tokens.provider_token(ProviderKeys(self.data, "example"), "example")
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30.0)

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.bare_orchestrator", str(self.data), str(self.port), str(GRANT)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def say(self, path: str, item: dict[str, Any]) -> Any:
        """The answer; asks again for as long as there is none."""
        while True:
            with suppress(httpx.TransportError):
                answer = await self.http.post(path, json={"items": [item]})
                assert answer.status_code == 200, answer.text
                self.answered += 1
                return answer.json()
            await asyncio.sleep(0.05)

    async def killed_again_and_again(self) -> None:
        for _ in range(ROUNDS):
            enough = self.answered + EACH

            async def reached(enough: int = enough) -> bool:
                return self.answered >= enough

            await async_wait_until(reached, f"{EACH} answers", timeout=60.0)
            self.kill()
            self.start()


@asynccontextmanager
async def core(tmp_path: Path) -> AsyncIterator[tuple[Core, list[str]]]:
    """One that runs, and the ids of jobs in it."""
    settings = OrchestratorSettings(data_dir=tmp_path, provider_url="http://provider.example.com")
    async with running(replace(settings, options=OrchestratorOptions(initial_grant=GRANT)), FakeProvider()) as setup:
        jobs = [await setup.create() for _ in range(WORKERS)]
    made = Core(tmp_path, any_free("127.0.0.1", set()))
    made.start()
    try:
        yield made, jobs
    finally:
        made.kill()
        await made.http.aclose()


@pytest.mark.timeout(300)
async def test_nothing_that_was_answered_is_lost_and_nothing_counts_twice(tmp_path: Path) -> None:
    async with core(tmp_path) as (running_core, jobs):
        stop = asyncio.Event()
        workers = [asyncio.create_task(_work(running_core, job, stop)) for job in jobs]
        await running_core.killed_again_and_again()
        stop.set()
        counts = await asyncio.gather(*workers)
        browse = "/api/accounting/wallets/browse"
        user = {"Authorization": f"Bearer {issue_user_token(tmp_path, 'user')}"}
        (wallet,) = (await running_core.http.get(browse, headers=user)).json()["items"]
        told = [await _texts(running_core, job, user) for job in jobs]
    expected = sum(number * PRICE + number for number in counts)
    (allocation,) = wallet["allocations"]
    assert GRANT - allocation["balance"] == expected
    assert _books(tmp_path) == (expected, expected, sum(counts))
    assert told == [[str(number) for number in range(count)] for count in counts]


async def _work(core: Core, job: str, stop: asyncio.Event) -> int:
    """How often it charged one unit, reported one more unit of usage, and told one text."""
    number = 0
    while not stop.is_set():
        charge = {"id": job, "chargeId": f"{job}-{number}", "units": 1}
        answer = await core.say("/api/jobs/control/chargeCredits", charge)
        assert answer["insufficientFunds"] == []
        await core.say("/api/jobs/control/update", {"id": job, "update": {"status": str(number)}})
        number += 1
        usage = {
            "isDeltaCharge": False,
            "owner": {"type": "user", "username": "user"},
            "categoryIdV2": {"name": "example-compute", "provider": "example"},
            "usage": number,
            "description": {"scope": f"job-{job}"},
        }
        assert (await core.say("/api/accounting/v2/reportUsage", usage))["responses"] == [True]
    return number


async def _texts(core: Core, job: str, user: dict[str, str]) -> list[str]:
    """One that was applied and whose answer was lost was said twice in a row."""
    shown = (
        await core.http.get("/api/jobs/retrieve", params={"id": job, "includeUpdates": "true"}, headers=user)
    ).json()
    said = [update["status"] for update in shown["updates"]]
    return [text for before, text in zip([None, *said], said, strict=False) if text != before]


def _books(data: Path) -> tuple[int, int, int]:
    """What is gone from allocations, what is booked, and how many charges there are: by a reader of its own."""
    with closing(sqlite3.connect(data / "orchestrator.db")) as file:
        (gone,) = file.execute("SELECT SUM(initial_balance - balance) FROM orchestrator_allocations").fetchone()
        (booked,) = file.execute("SELECT SUM(amount) FROM orchestrator_wallet_entries").fetchone()
        (charges,) = file.execute("SELECT COUNT(*) FROM orchestrator_charges WHERE amount = ?", (PRICE,)).fetchone()
    return gone, booked, charges
