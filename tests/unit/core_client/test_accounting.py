"""Charges of the store reach a Core over HTTP once, whatever it answers (ACC-7, ACC-8, ACC-12 to ACC-16, ACC-22)."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.contract.store.jobs import a_job
from tests.support.fake_core import REFRESH_TOKEN, FakeCore, Fault
from tests.support.wait import async_wait_until
from tests.unit.core_client.rig import SetClock
from ucloud_ray.control.charger import Charger, Rhythm
from ucloud_ray.control.ports import Change, ChargeRow, CoreSilent
from ucloud_ray.core_client import CoreClient
from ucloud_ray.core_client.accounting import Accounting
from ucloud_ray.domain.effects import Charge
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import AccountingStyle, Job, Owner
from ucloud_ray.settings import CoreSettings
from ucloud_ray.store import open_store
from ucloud_ray.store.failing import FailingStore

QUICK = Rhythm(gather=0.0, first_pause=0.005, longest_pause=0.02)
MANY = [str(number) for number in range(40)]


@dataclass
class Heard:
    """Whom nobody pays for, and how many charges waited on disk when that was heard."""

    store: FailingStore
    jobs: list[str] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    async def short(self, rows: Sequence[ChargeRow]) -> None:
        self.jobs += [row.job_id for row in rows]
        if rows:
            self.waiting.append((await self.store.waiting_charges())[0])


@dataclass
class Till:
    core: FakeCore
    store: FailingStore
    accounting: Accounting
    heard: Heard
    clock: SetClock
    rhythm: Rhythm = QUICK
    jobs: dict[str, Job] = field(default_factory=dict)

    async def owe(self, *ids: str, style: AccountingStyle = "documented", units: int = 1, number: int = 1) -> None:
        """One charge for each of these jobs."""
        for job_id in ids:
            name = f"job-{job_id}" if style == "reportUsage" else f"{job_id}-charge-{number}"
            job = self.jobs.setdefault(job_id, _job_of(job_id))
            await self.store.commit([Change(job, charges=(Charge(name, style, units, 2),))])

    @asynccontextmanager
    async def charging(self) -> AsyncIterator[None]:
        """Ends as a crash does, at any point."""
        charger = Charger(self.store, self.accounting, self.clock, self.heard, self.rhythm)
        running = asyncio.create_task(charger.run())
        try:
            with capture_logs():
                yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until_left(self, left: int) -> None:
        async def is_left() -> bool:
            return (await self.store.waiting_charges())[0] == left

        await async_wait_until(is_left, f"{left} charges to be left", timeout=20)

    async def until_asked(self, more: int) -> None:
        """So many further requests have arrived, or nothing is left to ask."""
        enough = len(self.calls) + more

        async def are_enough() -> bool:
            return len(self.calls) >= enough or (await self.store.waiting_charges())[0] == 0

        await async_wait_until(are_enough, f"{more} requests", timeout=20)

    async def settle(self, left: int = 0) -> None:
        async with self.charging():
            await self.until_left(left)

    @property
    def calls(self) -> list[int]:
        """How many items each request brought."""
        return [len(body["items"]) for path, body in self.core.other]


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    core = FakeCore(*MANY)
    clock = SetClock()
    store = FailingStore(await open_store(f"sqlite:///{tmp_path / 'jobs.db'}", clock))
    async with core.running():
        client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN, timeout_seconds=0.3))
        yield Till(core, store, Accounting(client, "example"), Heard(store), clock)
        await client.close()
    await store.close()


async def test_many_charges_are_one_request(till: Till) -> None:
    await till.owe(*MANY)
    await till.settle()
    assert till.calls == [40]
    assert sorted(till.core.charges) == sorted(f"{job_id}-charge-1" for job_id in MANY)
    assert till.core.charges["7-charge-1"] | {"performedBy": None, "description": None} == {
        "id": "7", "chargeId": "7-charge-1", "units": 1, "periods": 2, "performedBy": None, "description": None,
    }  # fmt: skip


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.NOT_JSON, Fault.HANG, 500, 502, 503, 449, 429, 401])
@pytest.mark.parametrize("style", ["documented", "reportUsage"])
async def test_whatever_one_answer_is_everything_is_charged_once(
    till: Till, fault: Fault | int, style: AccountingStyle
) -> None:
    """ACC-7, ACC-8."""
    till.core.money_faults.append(fault)
    await till.owe("1", "2", "3", style=style, units=5)
    await till.settle()
    assert {name: item["units"] for name, item in till.core.charges.items()} == (
        {f"{job_id}-charge-1": 5 for job_id in "123"} if style == "documented" else {}
    )
    assert till.core.usage == (
        {(f"user-of-{job_id}", f"job-{job_id}"): 5 for job_id in "123"} if style == "reportUsage" else {}
    )
    assert till.heard.jobs == []


@pytest.mark.parametrize("status", [400, 409, 422, 500])
async def test_one_bad_charge_is_found_in_a_few_requests_and_holds_up_nobody(till: Till, status: int) -> None:
    """REC-10. Each half of a request that fails is tried by itself."""
    till.core.money_poison = {"17": status}
    await till.owe(*MANY)
    async with till.charging():
        await till.until_left(1 if status == 500 else 0)
    assert sorted(till.core.charges) == sorted(f"{job_id}-charge-1" for job_id in MANY if job_id != "17")
    assert till.calls[0] == 40
    assert till.calls.index(1) <= 8


async def test_one_that_is_never_judged_is_dropped_once_others_were_taken_for_long(till: Till) -> None:
    till.core.money_poison = {"17": 500}
    till.rhythm = replace(QUICK, unclear_for=0.05)
    await till.owe("17")
    numbers = itertools.count()

    async def gone_while_others_are_taken() -> bool:
        await till.owe("1", number=next(numbers))
        return "17" not in [row.job_id for row in await till.store.charges(10_000)]

    async with till.charging():
        await async_wait_until(gone_while_others_are_taken, "the charge to be dropped", timeout=20)
    assert "17-charge-1" not in till.core.charges


async def test_a_core_that_judges_nobody_loses_nothing(till: Till) -> None:
    """ACC-22: it is not asked about each charge by itself either."""
    till.rhythm = replace(QUICK, unclear_for=0.0)
    till.core.money_poison = dict.fromkeys(MANY, 500)
    await till.owe(*MANY)
    async with till.charging():
        await till.until_asked(60)
        assert (await till.store.waiting_charges())[0] == 40
        assert till.calls.count(1) <= len(till.calls) / 2
        till.core.money_poison = {}
        await till.until_left(0)
    assert len(till.core.charges) == 40


@pytest.mark.parametrize("status", [403, 404])
async def test_money_is_not_given_up_because_of_a_wrong_role_or_address(till: Till, status: int) -> None:
    """REC-9: everything is refused, and the Core knows the jobs."""
    till.core.money_poison = dict.fromkeys(MANY, status)
    await till.owe("1", "2")
    till.clock.millis = 10**9
    async with till.charging():
        await till.until_asked(10)
    assert (await till.store.waiting_charges())[0] == 2


async def test_a_job_that_the_core_does_not_have_is_waited_for_and_then_costs_nothing(till: Till) -> None:
    """REC-11, and 5 minutes."""
    await till.owe("new", "ghost", "1")
    async with till.charging():
        await till.until_left(2)
        till.core.add("new")
        await till.until_left(1)
        till.clock.millis += 300_000
        await till.until_left(0)
    assert set(till.core.charges) == {"1-charge-1", "new-charge-1"}


@pytest.mark.parametrize("style", ["documented", "reportUsage"])
async def test_the_end_of_a_job_without_funds_is_decided_before_its_charge_is_off_the_disk(
    till: Till, style: AccountingStyle
) -> None:
    """ACC-16: whoever is killed in between hears it again."""
    till.core.broke = {"2", "user-of-2"}
    await till.owe("1", "2", style=style)
    await till.settle()
    assert set(till.heard.jobs) == {"2"}
    assert till.heard.waiting[0] == 2


async def test_usage_names_its_owner_category_and_scope(till: Till) -> None:
    """ACC-12, ACC-13, O5."""
    job = a_job("9")
    await till.store.commit([Change(job, charges=(Charge("job-9", "reportUsage", 12, 1),))])
    await till.settle()
    assert till.core.other[-1][1]["items"] == [
        {
            "isDeltaCharge": False,
            "owner": {"type": "project", "projectId": "project-1"},
            "categoryIdV2": {"name": "example", "provider": "example"},
            "usage": 12,
            "description": {"scope": "job-9", "description": None},
        }
    ]


@pytest.mark.parametrize(("style", "call"), [("documented", "checkCredits"), ("reportUsage", "reportUsage")])
async def test_who_can_pay_is_asked_without_charging(till: Till, style: AccountingStyle, call: str) -> None:
    """ACC-9; ACC-13: nor is what an earlier life used taken back."""
    till.core.usage["alice", "job-1"] = 7
    spec = replace(a_job("1").spec, owner=Owner("alice"))
    assert await till.accounting.enough(JobId("1"), spec, style) is True
    till.core.broke = {"1", "alice"}
    assert await till.accounting.enough(JobId("1"), spec, style) is False
    assert {path.rsplit("/", 1)[1] for path, _ in till.core.other} == {call}
    assert (till.core.charges, sum(till.core.usage.values())) == ({}, 7)


async def test_a_core_that_cannot_tell_says_neither_yes_nor_no(till: Till) -> None:
    """ACC-22; G refuses questions about jobs that it is about to store (control-api 8.3)."""
    spec = a_job("1").spec
    assert await till.accounting.enough(JobId("unknown"), spec, "documented") is None
    till.core.money_faults.append(503)
    with pytest.raises(CoreSilent):
        await till.accounting.enough(JobId("1"), spec, "documented")


@pytest.mark.parametrize("seed", range(3))
async def test_in_any_weather_every_charge_counts_once_and_the_newest_report_stays(till: Till, seed: int) -> None:
    """Faults by chance, and crashes of the charger at any moment."""
    chance = random.Random(seed)
    weather: list[Fault | int | None] = [None, None, None, *Fault, 500, 502, 503, 449, 429, 401]
    for turn in range(1, 9):
        await till.owe(*MANY[:5], number=turn)
        await till.owe(*MANY[:5], style="reportUsage", units=turn)
        till.core.money_faults.extend(fault for fault in chance.choices(weather, k=3) if fault is not None)
        async with till.charging():
            await till.until_asked(chance.randint(0, 3))
    till.core.money_faults.clear()
    await till.settle()
    assert {name: item["units"] for name, item in till.core.charges.items()} == {
        f"{job_id}-charge-{turn}": 1 for job_id in MANY[:5] for turn in range(1, 9)
    }
    assert till.core.usage == {(f"user-of-{job_id}", f"job-{job_id}"): 8 for job_id in MANY[:5]}


def _job_of(job_id: str) -> Job:
    job = a_job(job_id)
    return replace(job, spec=replace(job.spec, owner=Owner(f"user-of-{job_id}")))
