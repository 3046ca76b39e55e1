"""Jobs with `restartOnExit` are started again by the orchestrator: when, how often, and when not (LC-14, LC-25 to
LC-28)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import job_rows, restarts
from ucloud_ray.orchestrator.orchestrator import now_millis
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.orchestrator.tables import jobs
from ucloud_ray.orchestrator.update_rules import Applied, JobFacts, RestartPace, apply_updates
from ucloud_ray.settings import OrchestratorOptions
from ucloud_ray.wire.updates import JobUpdate

FINISHED = "The job has finished processing! (exit code 7)"
END = {"state": "SUCCESS", "status": FINISHED, "allowRestart": True}
PACE = RestartPace(shortest=1_000, longest=5_000, calm=60_000)
PATIENT = OrchestratorOptions(restart_pause_seconds=300)
HASTY = OrchestratorOptions(restart_pause_seconds=0)

# ------------------------------------------------------------------------------------------------- when, by the rules


def end(**changes: Any) -> JobUpdate:
    return JobUpdate.model_validate({**END, **changes})


def life(facts: JobFacts, begins: int, ends: int) -> Applied:
    """One life of a job."""
    facts = apply_updates(facts, [JobUpdate(state="IN_QUEUE")], begins - 2, PACE).facts
    facts = apply_updates(facts, [JobUpdate(state="RUNNING")], begins, PACE).facts
    return apply_updates(facts, [end()], ends, PACE)


def fresh(**changes: Any) -> JobFacts:
    return JobFacts("IN_QUEUE", 0, restart_on_exit=True, **changes)


def test_a_natural_end_is_a_pause_that_says_when_it_is_over() -> None:
    """The provider's own words stay as they are; no message of the wait is final."""
    ended = life(fresh(), 100, 200)
    assert (ended.facts.state, ended.facts.restart_at, ended.facts.allow_restart) == ("SUSPENDED", 1_200, True)
    assert [(one["state"], one["status"]) for one in ended.recorded] == [
        ("SUSPENDED", FINISHED),
        (None, "Your job will be started again in 1 second"),
    ]
    assert {one["timestamp"] for one in ended.recorded} == {200}
    assert ended.facts.update_count == 4


def test_lives_that_end_soon_make_the_pause_longer_and_a_calm_one_makes_it_short_again() -> None:
    facts, now, pauses = fresh(), 0, []
    for length in (10, 10, 10, 10, 60_000, 10):
        ended = life(facts, now + 10, now + 10 + length)
        facts, now = ended.facts, now + 10 + length
        assert facts.restart_at is not None
        pauses.append(facts.restart_at - now)
    assert pauses == [1_000, 2_000, 4_000, 5_000, 1_000, 2_000]


@pytest.mark.parametrize(
    "changes",
    [
        {"allowRestart": False, "status": "Your job has been cancelled!"},
        {"allowRestart": False, "status": "Your job has been terminated (No more credits)"},
        {"allowRestart": False, "status": "Your job has been terminated (Lost permissions)"},
        {"allowRestart": None},
        {"state": "EXPIRED", "allowRestart": False},
        {"state": "FAILURE", "allowRestart": False},
        {"state": "EXPIRED", "allowRestart": True},
    ],
)
def test_any_other_end_is_the_end(changes: dict[str, Any]) -> None:
    """LC-14: cancelled, no credits, lost permissions, expired."""
    facts = apply_updates(fresh(), [end(**changes)], 100, PACE).facts
    assert (facts.is_final, facts.restart_at) == (True, None)


def test_a_job_without_the_wish_ends() -> None:
    """LC-27: although its end allowed a restart."""
    facts = apply_updates(JobFacts("RUNNING", 0), [end()], 100, PACE).facts
    assert (facts.state, facts.restart_at, facts.allow_restart) == ("SUCCESS", None, True)


def test_the_same_end_once_more_says_nothing_new() -> None:
    """A provider that compares its jobs with ours tells it again: the wait goes on, and is not longer for it."""
    waiting = life(fresh(), 100, 200).facts
    again = apply_updates(waiting, [end(expectedDifferentState=True), end()], 900, PACE)
    assert again == Applied(waiting, ())


def test_an_end_that_allows_no_restart_ends_the_wait() -> None:
    waiting = life(fresh(), 100, 200).facts
    over = apply_updates(waiting, [end(state="FAILURE", allowRestart=False)], 300, PACE).facts
    assert (over.state, over.restart_at, over.restart_ordered) == ("FAILURE", None, False)


def test_a_text_does_not_end_the_wait() -> None:
    waiting = life(fresh(), 100, 200).facts
    told = apply_updates(waiting, [JobUpdate(status="Maintenance at noon")], 300, PACE)
    assert (told.facts.restart_at, len(told.recorded)) == (waiting.restart_at, 1)


@given(
    st.lists(
        st.sampled_from(
            [
                end(),
                end(allowRestart=False),
                JobUpdate(state="IN_QUEUE"),
                JobUpdate(state="RUNNING"),
                JobUpdate(state="CANCELING"),
                JobUpdate(state="EXPIRED"),
                JobUpdate(status="text"),
            ]
        ),
        max_size=12,
    )
)
def test_a_job_waits_only_while_it_is_suspended_and_never_after_a_final_state(updates: list[JobUpdate]) -> None:
    facts, was_final = fresh(), False
    for number, update in enumerate(updates):
        facts = apply_updates(facts, [update], number * 100, PACE).facts
        assert facts.restart_at is None or facts.state == "SUSPENDED"
        assert facts.is_final or not was_final
        was_final = facts.is_final


# --------------------------------------------------------------------------------------------------- done by the loop


@pytest.fixture
async def hasty(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    """Starts again at once."""
    async with running(replace(settings, options=HASTY), provider) as made:
        yield made


@pytest.fixture
async def patient(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    """Starts again after five minutes."""
    async with running(replace(settings, options=PATIENT), provider) as made:
        yield made


async def ended(setup: Setup, **changes: Any) -> str:
    """The id of a job that ran and ended by itself."""
    job = await setup.create(restartOnExit=True, **changes)
    for update in ({"state": "IN_QUEUE"}, {"state": "RUNNING"}, END):
        assert (await setup.update(job, **update)).status_code == 200
    return job


async def state(setup: Setup, job: str) -> str:
    return str((await setup.job(job))["status"]["state"])


async def settled(condition: Callable[[], bool], what: str) -> None:
    async def look() -> bool:
        return condition()

    await async_wait_until(look, what)


async def due_in(setup: Setup, job: str) -> int | None:
    """Milliseconds until the job is started again; None when it does not wait."""
    record = await setup.orchestrator._database.read(lambda connection: job_rows.find(connection, int(job)))
    assert record is not None
    return None if record.facts.restart_at is None else record.facts.restart_at - now_millis()


async def test_the_same_job_is_created_again(hasty: Setup) -> None:
    """LC-26: id, time of creation and specification are what the provider knows it by, whatever was renamed since."""
    job = await hasty.create(restartOnExit=True, name="First")
    await hasty.post("/api/jobs/rename", {"items": [{"id": job, "newTitle": "Second"}]})
    await hasty.update(job, state="RUNNING", outputFolder="/1/out")
    await hasty.update(job, **END)
    await settled(lambda: len(hasty.provider.calls("jobs")) == 2, "the job to be created again")
    first, second = (call.body["items"][0] for call in hasty.provider.calls("jobs"))
    same = ("id", "createdAt", "owner", "specification")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert second["output"] == {"outputFolder": "/1/out"}
    assert hasty.provider.calls("jobs")[1].username == "user"
    assert (await hasty.job(job))["specification"]["name"] == "Second"


async def test_the_next_life_shows_as_the_first_one_did(hasty: Setup) -> None:
    """T11: SUSPENDED, IN_QUEUE, RUNNING."""
    job = await ended(hasty)
    await settled(lambda: len(hasty.provider.calls("jobs")) == 2, "the job to be created again")
    for update in ({"state": "IN_QUEUE"}, {"state": "RUNNING"}, {**END, "allowRestart": False}):
        await hasty.update(job, **update)
    shown = await hasty.job(job)
    told = [update["state"] for update in shown["updates"] if update["state"]]
    assert told == ["IN_QUEUE", "RUNNING", "SUSPENDED", "IN_QUEUE", "RUNNING", "SUCCESS"]
    assert shown["status"]["allowRestart"] is False
    assert len(hasty.provider.calls("jobs")) == 2


async def test_an_order_without_an_answer_is_given_again_only_while_nothing_was_heard(
    hasty: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "RETRY_MILLIS", 50)
    job = await hasty.create(restartOnExit=True)
    hasty.provider.answer("jobs", {}, status=500)
    await hasty.update(job, state="RUNNING")
    await hasty.update(job, **END)
    await settled(lambda: len(hasty.provider.calls("jobs")) >= 3, "the order to be given again")
    await hasty.update(job, state="IN_QUEUE")
    assert (await state(hasty, job), await due_in(hasty, job)) == ("IN_QUEUE", None)


async def test_an_order_that_was_taken_is_not_repeated_for_minutes(hasty: Setup) -> None:
    """The update about it may wait in the provider's outbox."""
    job = await ended(hasty)

    async def confirmed() -> bool:
        return (await due_in(hasty, job) or 0) > 60_000

    await async_wait_until(confirmed, "the order to be taken")
    assert await state(hasty, job) == "SUSPENDED"
    assert len(hasty.provider.calls("jobs")) == 2


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        (400, "FAILURE", "Your job could not be started again: no such machine"),
        (402, "SUCCESS", "Your job has been terminated (No more credits)"),
    ],
)
async def test_a_job_that_the_provider_refuses_ends(hasty: Setup, status: int, state: str, text: str) -> None:
    job = await hasty.create(restartOnExit=True)
    hasty.provider.answer("jobs", {"why": "no such machine"}, status=status)
    await hasty.update(job, **END)
    shown = await _final(hasty, job)
    assert (shown["status"]["state"], shown["updates"][-1]["status"]) == (state, text)
    assert shown["status"]["allowRestart"] is False


async def test_a_job_whose_wallet_is_empty_ends(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    """ACC-18."""
    options = replace(HASTY, initial_grant=1)
    async with running(replace(settings, options=options), provider) as setup:
        job = await setup.create(restartOnExit=True)
        body = {"items": [{"id": job, "chargeId": "a", "units": 1}]}
        await setup.post("/api/jobs/control/chargeCredits", body, setup.as_provider())
        await setup.update(job, **END)
        shown = await _final(setup, job)
    assert shown["updates"][-1]["status"] == "Your job has been terminated (No more credits)"
    assert len(provider.calls("jobs")) == 1


async def test_terminate_ends_the_wait_and_the_provider_is_not_needed(patient: Setup) -> None:
    job, other = await ended(patient), await patient.create()
    answer = await patient.post("/api/jobs/terminate", {"items": [{"id": job}, {"id": other}]})
    assert (answer.status_code, answer.json()) == (200, {"responses": [{}, {}]})
    shown = await patient.job(job)
    assert (shown["status"]["state"], shown["updates"][-1]["status"]) == ("SUCCESS", "Your job has been cancelled!")
    (call,) = patient.provider.calls("jobs/terminate")
    assert [item["id"] for item in call.body["items"]] == [other]
    await patient.orchestrator.restarts._round()
    assert len(patient.provider.calls("jobs")) == 2


async def test_terminate_waits_for_an_order_that_is_under_way_and_then_stops_what_it_started(hasty: Setup) -> None:
    job = await hasty.create(restartOnExit=True)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(asked: Any) -> None:
        if asked.path == "jobs":
            arrived.set()
            await asyncio.wait_for(go_on.wait(), 10)

    hasty.provider.before_answer = hold
    await hasty.update(job, **END)
    await asyncio.wait_for(arrived.wait(), 10)
    stopping = asyncio.create_task(hasty.post("/api/jobs/terminate", {"items": [{"id": job}]}))
    for _ in range(5):  # whoever does not wait has had its turn then
        await hasty.http.get("/api/status")
    assert hasty.provider.calls("jobs/terminate") == []
    go_on.set()
    assert (await stopping).status_code == 200
    assert len(hasty.provider.calls("jobs/terminate")) == 1
    assert await state(hasty, job) == "SUCCESS"
    await hasty.update(job, state="IN_QUEUE")
    assert await state(hasty, job) == "SUCCESS"


async def test_terminate_fails_when_it_cannot_be_known_that_nothing_runs(
    patient: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order went out and was not answered: the job may run."""
    job = await ended(patient)
    patient.provider.answer("jobs", {}, status=500)
    await patient.post("/api/jobs/unsuspend", {"items": [{"id": job}]})
    await settled(lambda: len(patient.provider.calls("jobs")) == 2, "the order")
    patient.provider.answer("jobs/terminate", {"why": "no"}, status=500)
    assert (await patient.post("/api/jobs/terminate", {"items": [{"id": job}]})).status_code == 500
    assert await state(patient, job) == "SUSPENDED"


async def test_unsuspend_starts_it_now(patient: Setup) -> None:
    job = await ended(patient)
    assert (await patient.post("/api/jobs/unsuspend", {"items": [{"id": job}]})).status_code == 200
    await settled(lambda: len(patient.provider.calls("jobs")) == 2, "the job to be created again")
    assert patient.provider.calls("jobs/unsuspend") == []


async def test_a_wait_survives_the_orchestrator(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    """The intent is on disk; an order that may have been taken is not given again at once."""
    async with running(replace(settings, options=PATIENT), provider) as setup:
        waits, hastened = await ended(setup), await ended(setup)
        provider.answer("jobs", {}, status=500)
        await setup.post("/api/jobs/unsuspend", {"items": [{"id": hastened}]})
        await settled(lambda: len(provider.calls("jobs")) == 3, "the order")
    later = FakeProvider()
    async with running(replace(settings, options=PATIENT), later) as setup:
        assert [await state(setup, job) for job in (waits, hastened)] == ["SUSPENDED", "SUSPENDED"]
        await setup.orchestrator.restarts._round()
        assert later.calls("jobs") == []
        await setup.post("/api/jobs/unsuspend", {"items": [{"id": waits}]})
        await settled(lambda: len(later.calls("jobs")) == 1, "the job that waits to be created again")
        assert later.calls("jobs")[0].body["items"][0]["id"] == waits


async def test_a_clock_that_is_set_back_makes_nobody_wait(patient: Setup) -> None:
    job = await ended(patient)
    tomorrow = sa.update(jobs).values(restart_at=now_millis() + 86_400_000)
    await patient.orchestrator._database.write(lambda connection: connection.execute(tomorrow))
    await patient.orchestrator.restarts._round()
    assert [call.body["items"][0]["id"] for call in patient.provider.calls("jobs")] == [job, job]


async def test_a_deleted_job_is_not_started(patient: Setup) -> None:
    job = await ended(patient)
    await patient.post("/api/jobs/delete", {"items": [{"id": job}]}, patient.user(admin=True))
    await patient.orchestrator.restarts._round()
    assert len(patient.provider.calls("jobs")) == 1


async def test_the_wish_is_part_of_what_is_stored(hasty: Setup) -> None:
    spec = batch(restartOnExit=True)["items"][0]
    job = await hasty.create(restartOnExit=True)
    assert (await hasty.job(job))["specification"]["restartOnExit"] is spec["restartOnExit"]


async def _final(setup: Setup, job: str) -> Any:
    async def look() -> Any:
        shown = await setup.job(job)
        return shown if shown["status"]["state"] in ("SUCCESS", "FAILURE") else None

    return await async_wait_until(look, f"job {job} to end")
