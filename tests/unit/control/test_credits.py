"""Who can pay is asked seldom, told quickly, and believed for a short time (ACC-9, ACC-16, ACC-18, ACC-22, SUS-7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from tests.contract.store.jobs import a_job
from tests.unit.control.rig import Rig, job, ref, spec
from ucloud_ray.control.credits import STOP, Credits, Memory
from ucloud_ray.control.errors import BadRequest, PaymentRequired
from ucloud_ray.control.ports import CoreSilent
from ucloud_ray.domain.events import Event
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import AccountingStyle, Job, JobSpec, JobState, Owner, Queued, Rules, Running, Tariff

FORGETS = Memory(of_yes=0.0, of_no=0.0)
KEEPS = Memory(of_yes=60.0, of_no=60.0, patience=0.05)
CATEGORY = spec().machine.product.category
ALICE = Owner("alice")


@dataclass
class Funds:
    answer: bool | None = True
    asked: list[str] = field(default_factory=list)
    silent: bool = False
    hangs: bool = False

    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        self.asked.append(id)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.silent:
            raise CoreSilent("down")
        return self.answer


@dataclass
class Desk:
    credits: Credits
    funds: Funds
    jobs: list[Job]
    stopped: list[JobUid]


@pytest.fixture
def desk() -> Callable[..., Desk]:
    def make(memory: Memory = KEEPS, style: AccountingStyle = "documented") -> Desk:
        funds, jobs, stopped = Funds(), list[Job](), list[JobUid]()

        def post(uid: JobUid, event: Event) -> None:
            assert event == STOP
            stopped.append(uid)

        async def settle(uid: JobUid, event: Event) -> None:
            post(uid, event)

        return Desk(Credits(funds, lambda: jobs, post, settle, style, memory), funds, jobs, stopped)

    return make


async def test_one_question_answers_all_who_want_to_know(desk: Callable[..., Desk]) -> None:
    at = desk()
    assert await asyncio.gather(*(at.credits.covers(JobId(str(n)), spec()) for n in range(50))) == [True] * 50
    assert await at.credits.covers(JobId("later"), spec())
    assert at.funds.asked == ["0"]


async def test_workspaces_and_categories_are_asked_about_apart(desk: Callable[..., Desk]) -> None:
    at = desk()
    other = replace(spec().machine, product=replace(spec().machine.product, category="other"))
    for number, wanted in enumerate((spec(), spec(owner=Owner("bob")), replace(spec(), machine=other))):
        assert await at.credits.covers(JobId(str(number)), wanted)
    assert at.funds.asked == ["0", "1", "2"]


async def test_what_is_free_or_not_charged_is_not_asked_about(desk: Callable[..., Desk]) -> None:
    """ACC-10."""
    free = replace(spec(), machine=replace(spec().machine, tariff=None))
    for at, wanted in ((desk(), free), (desk(style="none"), spec())):
        at.funds.answer = False
        assert await at.credits.covers(JobId("1"), wanted)
        await at.credits.require(JobId("1"), wanted)
        assert at.funds.asked == []


async def test_a_create_of_whom_nothing_bad_is_known_costs_no_question(desk: Callable[..., Desk]) -> None:
    at = desk()
    await at.credits.require(JobId("1"), spec())
    assert at.funds.asked == []


async def test_who_had_nothing_is_asked_again_before_a_create_is_refused(desk: Callable[..., Desk]) -> None:
    """ACC-18: a wallet that was filled works at once."""
    at = desk(FORGETS)
    at.funds.answer = False
    assert not await at.credits.covers(JobId("1"), spec())
    with pytest.raises(PaymentRequired) as refused:
        await at.credits.require(JobId("2"), spec())
    assert (refused.value.status, refused.value.error_code) == (402, "NOT_ENOUGH_COMPUTE_CREDITS")
    assert "Apply for more" in refused.value.why
    at.funds.answer = True
    await at.credits.require(JobId("3"), spec())
    assert at.funds.asked == ["1", "2", "3"]


async def test_a_notice_that_a_wallet_is_open_again_counts_at_once(desk: Callable[..., Desk]) -> None:
    """control-api 9."""
    at = desk()
    at.credits.locked(ALICE, CATEGORY)
    with pytest.raises(PaymentRequired):
        await at.credits.require(JobId("1"), spec())
    at.credits.unlocked(ALICE, CATEGORY)
    await at.credits.require(JobId("2"), spec())
    assert await at.credits.covers(JobId("2"), spec())
    assert at.funds.asked == []


async def test_a_notice_of_a_lock_ends_what_the_wallet_would_pay_for_and_nothing_else(
    desk: Callable[..., Desk],
) -> None:
    """ACC-16, ACC-18."""
    at = desk()
    paid = replace(spec(), machine=replace(spec().machine, tariff=Tariff(60_000)))
    free = replace(spec(), machine=replace(spec().machine, tariff=None))
    waits, runs = (replace(a_job(phase=phase), spec=paid) for phase in (Queued(a_job().created_at), Running(())))
    others = [
        replace(runs, uid=JobUid("bob"), spec=replace(paid, owner=Owner("bob"))),
        replace(runs, uid=JobUid("project"), spec=replace(paid, owner=Owner("alice", "a-project"))),
        replace(runs, uid=JobUid("free"), spec=free),
        replace(runs, uid=JobUid("not charged"), rules=Rules(accounting_style="none")),
    ]
    at.jobs += [waits, runs, *others]
    at.credits.locked(ALICE, CATEGORY)
    assert at.stopped == [waits.uid, runs.uid]


@pytest.mark.parametrize("trouble", ["silent", "hangs", "does not know"])
async def test_who_gives_no_answer_keeps_nobody_waiting_and_no_second_one_for_long(
    desk: Callable[..., Desk], trouble: str
) -> None:
    """ACC-22."""
    at = desk()
    at.funds.silent, at.funds.hangs = trouble == "silent", trouble == "hangs"
    at.funds.answer = None
    with capture_logs():
        async with asyncio.timeout(5):
            assert await at.credits.covers(JobId("1"), spec())
            assert await at.credits.covers(JobId("2"), spec())
    assert at.funds.asked == ["1"]


async def test_a_job_is_not_resumed_without_funds_and_stays_as_it_was(rig: Rig) -> None:
    """SUS-7, for the jobs that can be resumed here: those with `restartOnExit` (SUS-8)."""
    rig.funds = Funds()
    life = await rig.start()
    await life.requests.submit([job("1", restart_on_exit=True)])
    await rig.until_state("1", JobState.SUCCESS)
    await rig.until_nothing_is_left()
    life.supervisor.credits.locked(ALICE, CATEGORY)
    with pytest.raises(PaymentRequired):
        await life.requests.unsuspend([ref("1")])
    assert rig.states("1")[-1] is JobState.SUCCESS
    life.supervisor.credits.unlocked(ALICE, CATEGORY)
    await life.requests.unsuspend([ref("1")])
    await rig.until(lambda: rig.states("1").count(JobState.RUNNING) == 2, "the next life")


async def test_who_cannot_pay_is_told_first_that_a_job_cannot_be_resumed(rig: Rig) -> None:
    """11.4, SUS-6."""
    rig.funds = Funds()
    life = await rig.start()
    await life.requests.submit([job("1")])
    await rig.until_state("1", JobState.SUCCESS)
    life.supervisor.credits.locked(ALICE, CATEGORY)
    with pytest.raises(BadRequest, match="has ended and cannot be resumed"):
        await life.requests.unsuspend([ref("1")])
