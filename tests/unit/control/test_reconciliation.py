"""What the Core has of our jobs is compared with what we have, both ways, unasked (REC-9, REC-12 to REC-15, O3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.control.rig import Life, Rig, job, ref
from ucloud_ray.control.ports import Believed, CoreSilent
from ucloud_ray.control.reconciliation import DENIALS, OLD_ENOUGH, TOO_YOUNG, Reconciliation
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import JobState

GONE = Announce(JobState.FAILURE, texts.UNKNOWN_JOB, expected_different_state=True)


class Books:
    """The Core's, as far as they are read. `silent`: how many questions from now on get no whole answer."""

    def __init__(self) -> None:
        self.jobs: dict[JobRef, JobState | None] = {}
        self.unlisted: set[JobRef] = set()
        """Known, but not among the active."""
        self.silent = 0
        self.asked: list[JobRef | None] = []
        """None: for all active ones."""

    async def active(self) -> list[Believed]:
        self._hear(None)
        return [Believed(ref, state) for ref, state in self.jobs.items() if ref not in self.unlisted]

    async def find(self, ref: JobRef) -> Believed | None:
        self._hear(ref)
        return Believed(ref, self.jobs[ref]) if ref in self.jobs else None

    def _hear(self, about: JobRef | None) -> None:
        self.asked.append(about)
        if self.silent:
            self.silent -= 1
            raise CoreSilent("gone in the middle")


class Compared:
    """A life with its comparisons, made when a test says so."""

    def __init__(self, rig: Rig, life: Life, books: Books) -> None:
        self.rig, self.life, self.books = rig, life, books
        self.reconciliation = Reconciliation(
            life.supervisor, life.requests.verification, books, every=900, on_its_way=0.0
        )
        self.again = self.reconciliation.ask_again
        self.forgotten: list[JobUid] = []
        """Jobs that were given up, in order."""
        life.supervisor.forget = self._forget  # type: ignore[method-assign]  # looked at, and done all the same

    async def running(self, id: str, **more: int) -> JobUid:
        """A job that both sides know."""
        [uid] = await self.life.requests.submit([job(id, "run=forever", **more)])
        await self.rig.until_phase(id, "running")
        await self.rig.until_state(id, JobState.RUNNING)
        self.books.jobs[ref(id)] = JobState.RUNNING
        return uid

    def _forget(self, uid: JobUid) -> None:
        self.forgotten.append(uid)
        type(self.life.supervisor).forget(self.life.supervisor, uid)

    async def compare(self) -> None:
        await self.reconciliation.compare()
        await self.rig.quiet()


@pytest.fixture
async def compared(rig: Rig) -> Compared:
    return Compared(rig, await rig.start(), Books())


def grown_old(rig: Rig) -> None:
    rig.clock.shift += OLD_ENOUGH


async def test_where_both_agree_nothing_is_told_and_nobody_is_asked_twice(rig: Rig, compared: Compared) -> None:
    await compared.running("41")
    grown_old(rig)
    told = rig.told("41")
    await compared.compare()
    assert rig.told("41") == told
    assert await rig.store.pending_updates() == []
    assert compared.books.asked == [None]


async def test_a_job_that_only_the_core_has_is_told_to_be_gone_once(rig: Rig, compared: Compared) -> None:
    """REC-12, REC-15."""
    compared.books.jobs[ref("42")] = JobState.RUNNING
    rig.updates.down = True
    for _ in range(3):
        await compared.compare()
    assert len(await rig.store.pending_updates()) == 1
    rig.updates.come_up()
    await rig.until(lambda: rig.told("42"), "the update")
    assert rig.told("42") == [GONE]


@pytest.mark.parametrize("believed", [JobState.SUSPENDED, None])
async def test_an_unknown_job_that_is_put_aside_or_in_a_state_of_a_later_core_is_let_be(
    rig: Rig, compared: Compared, believed: JobState | None
) -> None:
    """REC-12."""
    compared.books.jobs[ref("42")] = believed
    await compared.compare()
    assert await rig.store.pending_updates() == []
    assert rig.told("42") == []


async def test_an_unknown_job_of_this_minute_may_be_on_its_way_to_us(rig: Rig, compared: Compared) -> None:
    """REC-14."""
    young = ref("42", rig.clock.now() - TOO_YOUNG + 1_000)
    compared.books.jobs[young] = JobState.IN_QUEUE
    await compared.compare()
    assert rig.told("42") == []
    rig.clock.shift += 1_000
    await compared.compare()
    await rig.until(lambda: rig.told("42") == [GONE], "the update")


async def test_a_job_that_arrives_while_it_is_doubted_is_let_be(rig: Rig) -> None:
    """REC-14: whatever the clock of the Core says, by which it was created an hour ago."""
    life, books = await rig.start(), Books()
    books.jobs[ref("42")] = JobState.IN_QUEUE
    reconciliation = Reconciliation(life.supervisor, life.requests.verification, books, every=900, on_its_way=0.3)
    comparing = asyncio.create_task(reconciliation.compare())
    await rig.until(lambda: books.asked, "the listing")
    await life.requests.submit([job("42", "run=forever")])
    await comparing
    await rig.until_state("42", JobState.RUNNING)
    assert JobState.FAILURE not in rig.states("42")


async def test_a_job_in_the_hands_of_create_is_known(rig: Rig, compared: Compared) -> None:
    """REC-14."""
    compared.books.jobs[ref("42")] = JobState.IN_QUEUE
    async with compared.life.requests._admission.hold(ref("42").id):
        await asyncio.wait_for(compared.compare(), 5)
    assert rig.told("42") == []


async def test_a_state_that_differs_is_told_again_unless_an_update_waits(rig: Rig, compared: Compared) -> None:
    """REC-13."""
    await compared.running("41")
    compared.books.jobs[ref("41")] = JobState.IN_QUEUE
    rig.updates.down = True
    await compared.compare()
    await compared.compare()
    assert len(await rig.store.pending_updates()) == 1
    rig.updates.come_up()
    await rig.until(lambda: rig.states("41").count(JobState.RUNNING) == 2, "our state once more")
    assert rig.told("41")[-1].expected_different_state


async def test_an_end_that_the_core_missed_is_told_again(rig: Rig, compared: Compared) -> None:
    await compared.life.requests.submit([job("41")])
    await rig.until_state("41", JobState.SUCCESS)
    compared.books.jobs[ref("41")] = JobState.RUNNING
    await compared.compare()
    await rig.until(lambda: rig.states("41").count(JobState.SUCCESS) == 2, "the end once more")


async def test_a_job_that_the_core_deleted_is_stopped_after_three_confirmations_and_never_spoken_of(
    rig: Rig, compared: Compared
) -> None:
    """REC-9: its folder stays."""
    uid = await compared.running("41")
    other = await compared.running("43")
    grown_old(rig)
    del compared.books.jobs[ref("41")]
    folder = rig.tasks().folder(compared.life.supervisor.engine.live(uid))
    told = rig.told("41")
    await compared.compare()
    for _ in range(DENIALS - 2):
        await compared.again()
    assert compared.forgotten == []
    await compared.again()
    assert compared.forgotten == [uid]
    await rig.until(lambda: compared.life.supervisor.engine.live(uid) is None, "the job to be over")
    assert rig.told("41") == told
    assert folder.path.is_dir()
    assert [incarnation.partition(".")[0] for incarnation in await rig.machines.running()] == [other]
    await compared.again()
    assert compared.books.asked == [None, *[ref("41")] * DENIALS]


async def test_denials_in_comparisons_alone_are_in_a_row_too(rig: Rig, compared: Compared) -> None:
    uid = await compared.running("41")
    grown_old(rig)
    compared.books.jobs = {}
    for _ in range(DENIALS):
        assert compared.forgotten == []
        await compared.compare()
    assert compared.forgotten == [uid]


async def test_a_job_of_the_last_five_minutes_is_not_missed(rig: Rig, compared: Compared) -> None:
    """REC-9, REC-11."""
    await compared.running("41")
    del compared.books.jobs[ref("41")]
    await compared.compare()
    assert compared.books.asked == [None]


async def test_an_id_that_went_to_another_job_means_that_ours_is_gone(rig: Rig, compared: Compared) -> None:
    """O3: matched by id and time of creation."""
    uid = await compared.running("41")
    grown_old(rig)
    compared.books.jobs = {ref("41", rig.clock.now() + 1): JobState.IN_QUEUE}
    await compared.compare()
    for _ in range(DENIALS - 1):
        await compared.again()
    await rig.until(lambda: compared.life.supervisor.engine.live(uid) is None, "the job to be over")
    assert JobState.FAILURE not in rig.states("41"), "it would reach the other one"


async def test_a_job_that_is_known_by_name_is_not_missed_and_denials_before_do_not_count(
    rig: Rig, compared: Compared
) -> None:
    """REC-9: in a row."""
    await compared.running("41")
    grown_old(rig)
    del compared.books.jobs[ref("41")]
    await compared.compare()
    await compared.again()
    compared.books.jobs[ref("41")] = JobState.RUNNING
    compared.books.unlisted = {ref("41")}
    await compared.again()
    del compared.books.jobs[ref("41")]
    await compared.compare()
    await compared.again()
    assert compared.forgotten == []


async def test_a_listing_that_is_torn_decides_nothing(rig: Rig, compared: Compared) -> None:
    await compared.running("41")
    grown_old(rig)
    compared.books.jobs = {ref("42"): JobState.RUNNING}
    for _ in range(DENIALS):
        compared.books.silent = 1
        with pytest.raises(CoreSilent):
            await compared.compare()
        await compared.again()
    assert rig.told("42") == []
    assert compared.forgotten == []
    assert compared.books.asked == [None] * DENIALS


async def test_a_core_that_says_nothing_about_a_job_neither_confirms_nor_clears_it(
    rig: Rig, compared: Compared
) -> None:
    """D4."""
    uid = await compared.running("41")
    grown_old(rig)
    compared.books.jobs = {}
    await compared.compare()
    await compared.again()
    compared.books.silent = 2
    await compared.again()
    await compared.again()
    assert compared.forgotten == []
    await compared.again()
    assert compared.forgotten == [uid]


async def test_it_begins_once_the_supervisor_is_ready_and_comes_back_soon_after_a_torn_listing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REC-15: at start, and every so many minutes."""
    monkeypatch.setattr("ucloud_ray.control.reconciliation.CONFIRM_SECONDS", 0.01)
    life, books = rig._new_life(), Books()
    books.silent = 2
    books.jobs[ref("42")] = JobState.RUNNING
    reconciliation = Reconciliation(life.supervisor, life.requests.verification, books, every=900, on_its_way=0.0)
    async with in_background(reconciliation.run()):
        await rig.quiet()
        assert books.asked == []
        await life.supervisor.start()
        await rig.until(lambda: rig.told("42") == [GONE], "the comparison after two torn ones")
        assert books.asked == [None] * 3


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
