"""What is too much for the orchestrator is refused at once and with nothing done (D10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from starlette.responses import Response

from tests.support.wait import async_wait_until
from tests.unit.orchestrator.conftest import batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import hub as hubs
from ucloud_ray.orchestrator.errors import TooMany
from ucloud_ray.orchestrator.hub import BEHIND, Hub, JobChanged
from ucloud_ray.orchestrator.room import FollowRoom
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.orchestrator.update_rules import JobFacts
from ucloud_ray.settings import OrchestratorOptions


async def test_more_requests_than_are_answered_at_once_are_refused_and_a_provider_is_not(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """Updates must arrive although users ask for more than can be answered."""
    settings = replace(settings, call_timeout_seconds=30, options=OrchestratorOptions(max_requests=1))
    async with running(settings, provider) as setup:
        let_go = asyncio.Event()
        provider.before_answer = lambda _: let_go.wait()
        creating = asyncio.ensure_future(setup.post("/api/jobs", batch()))

        async def arrived() -> bool:
            return bool(provider.calls("jobs"))

        await async_wait_until(arrived, "the job to reach the provider", timeout=5)
        refused = await setup.post("/api/jobs", batch())
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        listed = await setup.get("/api/jobs/control/browse", setup.as_provider())
        assert [job["status"]["state"] for job in listed.json()["items"]] == ["IN_QUEUE"]
        let_go.set()
        assert (await creating).status_code == 200
        assert (await setup.get("/api/jobs/browse")).status_code == 200


async def test_bodies_that_are_too_much_together_are_refused_and_forgotten(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    async with running(replace(settings, max_body_bytes=1000), provider) as setup:
        more = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"items": [], "filler": "' + b"x" * 900
            await more.wait()
            yield b'"}'

        headers = setup.user()
        send = [asyncio.ensure_future(setup.http.post("/api/jobs", content=body(), headers=headers)) for _ in range(8)]
        await asyncio.sleep(0.05)
        assert (await setup.http.post("/api/jobs", content=b"x" * 900, headers=headers)).status_code == 503
        more.set()
        assert {(await answer).status_code for answer in send} == {400}
        assert (await setup.http.post("/api/jobs", content=b"x" * 900, headers=headers)).status_code == 400


async def test_an_overload_of_the_provider_reaches_its_user_with_when_to_come_again(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """429 is not repeated by the Core, unlike 503 (O15), and leaves no job."""
    async with running(settings, provider) as setup:
        full = Response('{"why": "Full."}', 429, {"Retry-After": "60"}, "application/json")
        provider.answers["jobs"] = [lambda _: full]
        answer = await setup.post("/api/jobs", batch())
        assert (answer.status_code, answer.json()["why"], len(provider.calls("jobs"))) == (429, "Full.", 1)
        assert answer.headers["Retry-After"] == "60"
        assert (await setup.get("/api/jobs/control/browse", setup.as_provider())).json()["items"] == []


def test_more_follows_than_may_be_open_are_refused_until_one_ends() -> None:
    room = FollowRoom(1)
    with room.taken(), pytest.raises(TooMany), room.taken():
        pass
    with room.taken():
        pass


def test_a_follower_who_never_reads_is_told_that_he_is_behind_instead_of_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LOG-10. He comes again and reads the job anew."""
    monkeypatch.setattr(hubs, "MOST_CHANGES", 3)
    hub = Hub()
    changed = JobChanged(JobFacts("RUNNING", 0), ())
    with hub.subscribed(7) as stuck, hub.subscribed(7) as quick:
        for _ in range(4):
            hub.publish(7, changed)
            assert quick.get_nowait() is changed
        assert (stuck.qsize(), stuck.get_nowait()) == (1, BEHIND)
