"""Charges reach the Core once, whatever it answers; jobs that nobody pays for end (ACC-7, ACC-8, ACC-16, ACC-22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.contract.store.jobs import a_job
from tests.support.wait import async_wait_until
from tests.unit.control.rig import Rig, job, ref
from ucloud_ray.control.charger import Charger, ChargeRefused, ChargeUnclear, Rhythm
from ucloud_ray.control.clock import SystemClock
from ucloud_ray.control.errors import PaymentRequired
from ucloud_ray.control.ports import Change, ChargeRow, CoreSilent
from ucloud_ray.domain.effects import Charge
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import AccountingStyle, JobSpec, JobState, Owner
from ucloud_ray.store import SqlJobStore, open_store

QUICK = Rhythm(gather=0.0, first_pause=0.005, longest_pause=0.02, unknown_for=300.0)


@dataclass
class Purse:
    """The accounting of a Core: what it was charged by name, and what it says."""

    charged: dict[str, int] = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    """Raised by the next requests, after it has charged."""
    refused: dict[str, ChargeRefused] = field(default_factory=dict)
    empty: bool = False
    poor: set[str] = field(default_factory=set)
    """Jobs that cannot pay."""
    funds: bool | None = True
    asked: int = 0

    async def charge(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        self.requests.append([row.charge.charge_id for row in rows])
        for row in rows:
            if row.charge.charge_id in self.refused:
                raise self.refused[row.charge.charge_id]
        for row in rows:
            self.charged[row.charge.charge_id] = row.charge.units
        if self.troubles:
            raise self.troubles.pop(0)
        return frozenset(row.seq for row in rows if self.empty or row.job_id in self.poor)

    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return self.funds


@dataclass
class Heard:
    rows: list[ChargeRow] = field(default_factory=list)

    async def short(self, rows: Sequence[ChargeRow]) -> None:
        self.rows.extend(rows)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlJobStore]:
    store = await open_store(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield store
    await store.close()


@pytest.fixture
def purse() -> Purse:
    return Purse()


async def owe(store: SqlJobStore, *names: str, style: AccountingStyle = "documented") -> None:
    for name in names:
        await store.commit([Change(a_job(name), charges=(Charge(name, style, 1, 1),))])


async def run_until_settled(charger: Charger, store: SqlJobStore, left: int = 0) -> None:
    running = asyncio.create_task(charger.run())

    async def settled() -> bool:
        return (await store.waiting_charges())[0] == left

    with capture_logs():
        await async_wait_until(settled, "all charges to be taken", timeout=5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_is_sent_together_and_settled(store: SqlJobStore, purse: Purse) -> None:
    await owe(store, "a", "b")
    await run_until_settled(Charger(store, purse, SystemClock(), Heard(), QUICK), store)
    assert purse.requests == [["a", "b"]]
    assert purse.charged == {"a": 1, "b": 1}


async def test_a_charge_whose_answer_was_lost_is_tried_again_soon(store: SqlJobStore, purse: Purse) -> None:
    """REC-10: not only after the longest pause, even when nothing else is charged meanwhile."""
    patient = replace(QUICK, longest_pause=600.0)
    purse.troubles = [ChargeUnclear("lost reply")]
    await owe(store, "a")
    await run_until_settled(Charger(store, purse, SystemClock(), Heard(), patient), store)
    assert purse.requests == [["a"]] * 2


async def test_a_silent_core_is_asked_again_and_what_it_took_counts_once(store: SqlJobStore, purse: Purse) -> None:
    """ACC-7, ACC-22: the names are the same, so that it can tell."""
    purse.troubles = [CoreSilent("lost reply"), CoreSilent("down")]
    await owe(store, "a")
    await run_until_settled(Charger(store, purse, SystemClock(), Heard(), QUICK), store)
    assert purse.requests == [["a"]] * 3
    assert purse.charged == {"a": 1}


async def test_a_charge_that_is_refused_is_dropped_and_holds_up_nobody(store: SqlJobStore, purse: Purse) -> None:
    """REC-10."""
    purse.refused = {"bad": ChargeRefused("no")}
    await owe(store, "a", "bad", "b")
    await run_until_settled(Charger(store, purse, SystemClock(), Heard(), QUICK), store)
    assert purse.charged == {"a": 1, "b": 1}


async def test_a_job_that_the_core_does_not_know_yet_is_charged_later(store: SqlJobStore, purse: Purse) -> None:
    """REC-11."""
    purse.refused = {"early": ChargeRefused("404", unknown_job=True)}
    await owe(store, "early", "b")
    charger = Charger(store, purse, SystemClock(), Heard(), QUICK)
    await run_until_settled(charger, store, left=1)
    assert purse.charged == {"b": 1}
    purse.refused.clear()
    await run_until_settled(charger, store)
    assert purse.charged == {"b": 1, "early": 1}


async def test_one_that_it_never_knew_is_dropped_after_minutes(store: SqlJobStore, purse: Purse) -> None:
    purse.refused = {"ghost": ChargeRefused("404", unknown_job=True)}
    await owe(store, "ghost")
    await run_until_settled(Charger(store, purse, SystemClock(), Heard(), replace(QUICK, unknown_for=0.0)), store)
    assert purse.charged == {}


async def test_who_cannot_pay_is_told(store: SqlJobStore, purse: Purse) -> None:
    heard, purse.empty = Heard(), True
    await owe(store, "a")
    await run_until_settled(Charger(store, purse, SystemClock(), heard, QUICK), store)
    assert [row.job_id for row in heard.rows] == ["a"]


# ------------------------------------------------------------------------------------------- the whole supervisor


async def until_nothing_waits(rig: Rig) -> None:
    async def nothing_waits() -> bool:
        return await rig.store.waiting_charges() == (0, None)

    await async_wait_until(nothing_waits, "the charges to be off the disk", timeout=10)


def paying(rig: Rig, purse: Purse) -> None:
    rig.accounting = rig.funds = purse
    rig.charge_interval = 0.02


async def test_a_job_is_charged_for_its_time_and_its_rest(rig: Rig, purse: Purse) -> None:
    """ACC-2, ACC-6 through store, engine and charger."""
    paying(rig, purse)
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    rig.clock.shift += 90_000
    await rig.until(lambda: list(purse.charged.values()) == [1], "the first minute to be charged")
    await life.requests.terminate([ref("1")])
    await rig.until(lambda: list(purse.charged.values()) == [1, 1], "the begun minute to be charged")
    await until_nothing_waits(rig)


async def test_a_running_job_without_funds_is_stopped(rig: Rig, purse: Purse) -> None:
    """ACC-16: nobody else does (conformance point 14)."""
    paying(rig, purse)
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    purse.empty = True
    rig.clock.shift += 60_000
    await rig.until_state("1", JobState.SUCCESS)
    assert rig.told_texts("1")[-1] == "Your job has been terminated (No more credits)"


async def test_a_job_that_nobody_pays_for_is_never_started_and_the_next_is_refused(rig: Rig, purse: Purse) -> None:
    """ACC-9, ACC-18."""
    paying(rig, purse)
    purse.funds = False
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.SUCCESS)
    assert rig.states("1") == [JobState.IN_QUEUE, JobState.SUCCESS]
    assert not life.cluster.called("start")
    with pytest.raises(PaymentRequired) as refused:
        await life.requests.submit([job("2", "run=forever")])
    assert refused.value.error_code == "NOT_ENOUGH_COMPUTE_CREDITS"
    assert await rig.store.find(ref("2")) is None


async def test_a_core_that_does_not_tell_keeps_no_job_from_starting(rig: Rig, purse: Purse) -> None:
    """ACC-22."""
    paying(rig, purse)
    purse.troubles = [CoreSilent("down")]
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)


async def test_one_question_serves_many_jobs(rig: Rig, purse: Purse) -> None:
    paying(rig, purse)
    life = await rig.start()
    await life.requests.submit([job(str(number)) for number in range(20)])
    for number in range(20):
        await rig.until_state(str(number), JobState.SUCCESS)
    assert purse.asked == 1


@pytest.mark.parametrize("style", ["documented", "reportUsage"])
async def test_nothing_is_started_while_charges_have_waited_for_too_long(
    rig: Rig, purse: Purse, style: AccountingStyle
) -> None:
    """ACC-22: `maxUnchargedHours`; what runs goes on. A usage report that is replaced has waited all the same."""
    paying(rig, purse)
    rig.rules = replace(rig.rules, accounting_style=style)
    rig.max_uncharged, rig.charge_interval = 60.0, 3600.0
    purse.troubles = [CoreSilent("down")] * 10_000
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    for _ in range(13):
        rig.clock.shift += 10_000
        await life.supervisor.charging.look()
    await life.requests.submit([job("2", "run=forever")])
    await rig.until(lambda: any("accounting" in text for text in rig.told_texts("2")), "its user to be told")
    await rig.crash()
    life = await rig.start()
    await life.requests.submit([job("3", "run=forever")])
    await rig.until(lambda: any("accounting" in text for text in rig.told_texts("3")), "its user to be told")
    assert rig.states("1")[-1] is JobState.RUNNING
    assert JobState.RUNNING not in rig.states("2") + rig.states("3")
    purse.troubles.clear()
    await until_nothing_waits(rig)
    await life.supervisor.charging.look()
    await rig.until_state("2", JobState.RUNNING)


async def test_the_stop_of_a_job_without_funds_is_on_disk_before_its_charge_is_off_it(rig: Rig, purse: Purse) -> None:
    """ACC-16: a process that is killed between the two asks again when it is back, and not a unit of time later."""
    paying(rig, purse)
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    life.store.fail("settle_charges")
    purse.empty = True
    rig.clock.shift += 60_000
    await rig.until_state("1", JobState.SUCCESS)
    assert (await rig.store.waiting_charges())[0] >= 1


@pytest.mark.parametrize(("style", "ended"), [("documented", {"1", "3"}), ("reportUsage", {"1", "2", "3"})])
async def test_what_nobody_pays_for_ends_with_it(
    rig: Rig, purse: Purse, style: AccountingStyle, ended: set[str]
) -> None:
    """ACC-16, ACC-18: what waits for the same wallet; after a usage report what runs, too. Others go on."""
    paying(rig, purse)
    rig.rules = replace(rig.rules, accounting_style=style)
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever"), job("2", "run=forever")])
    await life.requests.submit([job("4", "run=forever", owner=Owner("bob"))])
    for number in ("1", "2", "4"):
        await rig.until_state(number, JobState.RUNNING)
    await life.requests.submit([job("3", "run=forever", machine="whole", replicas=len(rig.machines.hosts))])
    await rig.until_phase("3", "queued")
    purse.poor = {"1"}
    rig.clock.shift += 60_000
    for number in ended:
        await rig.until_state(number, JobState.SUCCESS)
        assert rig.told_texts(number)[-1] == "Your job has been terminated (No more credits)"
    assert JobState.RUNNING not in rig.states("3")
    assert {live.id for live in life.supervisor.engine.jobs()} == {"1", "2", "3", "4"} - ended
