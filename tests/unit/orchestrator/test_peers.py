"""Which jobs a new one may be connected with (end-user-api 4.2, ENV-49, ENV-50)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider, support_entry
from ucloud_ray.orchestrator.settings import OrchestratorSettings


@pytest.fixture
async def connecting(settings: OrchestratorSettings) -> AsyncIterator[Setup]:
    """At a provider that can connect jobs."""
    flags = {"enabled": True, "peers": True}
    async with running(settings, FakeProvider(support=[support_entry(docker=flags)])) as made:
        yield made


def peer(job_id: str, hostname: str = "database") -> dict[str, str]:
    return {"type": "peer", "hostname": hostname, "jobId": job_id}


async def server(setup: Setup, state: str = "RUNNING") -> str:
    job_id = await setup.create()
    await setup.update(job_id, state=state)
    return job_id


async def refusal(setup: Setup, *peers: dict[str, str], **headers: Any) -> str:
    """Why; nothing was offered to the provider."""
    offers = len(setup.provider.calls("jobs"))
    answer = await setup.post("/api/jobs", batch(resources=list(peers)), **headers)
    assert answer.status_code == 400, answer.text
    assert len(setup.provider.calls("jobs")) == offers
    return str(answer.json()["why"])


async def test_a_running_job_of_the_user_can_be_a_peer(connecting: Setup) -> None:
    """The provider gets the value as it is."""
    job_id = await server(connecting)
    await connecting.create(resources=[peer(job_id)])
    offered = connecting.provider.calls("jobs")[-1].body["items"][0]["specification"]["resources"]
    assert offered == [peer(job_id)]


@pytest.mark.parametrize("state", ["IN_QUEUE", "SUCCESS", "FAILURE"])
async def test_a_job_that_does_not_run_cannot(connecting: Setup, state: str) -> None:
    assert "not running" in await refusal(connecting, peer(await server(connecting, state)))


@pytest.mark.parametrize("job_id", ["999999", "", "x", "-1"])
async def test_a_job_that_does_not_exist_cannot(connecting: Setup, job_id: str) -> None:
    assert "resources[0]" in await refusal(connecting, peer(job_id))


async def test_a_stranger_learns_nothing_of_the_job(connecting: Setup) -> None:
    """The same words as for one that does not exist."""
    job_id = await server(connecting)
    mallory = connecting.user("mallory")
    assert await refusal(connecting, peer(job_id), headers=mallory) == (
        await refusal(connecting, peer("999999"), headers=mallory)
    ).replace("999999", job_id)


async def test_reading_is_not_enough_and_editing_is(connecting: Setup) -> None:
    """ENV-49."""
    job_id = await server(connecting)

    async def grant(permission: str) -> httpx.Response:
        entity = {"type": "user", "username": "friend"}
        acl = {"id": job_id, "added": [{"entity": entity, "permissions": [permission]}], "deleted": []}
        return await connecting.post("/api/jobs/updateAcl", {"items": [acl]})

    assert (await grant("READ")).status_code == 200
    await refusal(connecting, peer(job_id), headers=connecting.user("friend"))
    assert (await grant("EDIT")).status_code == 200
    answer = await connecting.post("/api/jobs", batch(resources=[peer(job_id)]), connecting.user("friend"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("hostname", ["", "a.b", "-a", "a_b", "x" * 64, "\u212aelvin"])
async def test_a_name_that_is_no_label_is_refused(connecting: Setup, hostname: str) -> None:
    """ENV-50."""
    assert "hostname" in await refusal(connecting, peer(await server(connecting), hostname))


async def test_one_name_cannot_lead_to_two_jobs(connecting: Setup) -> None:
    """ENV-50."""
    first, second = await server(connecting), await server(connecting)
    assert "resources[1]" in await refusal(connecting, peer(first), peer(second, "Database"))


async def test_where_jobs_cannot_be_connected_a_peer_is_refused(setup: Setup) -> None:
    """By the support of the provider (ENV-51)."""
    assert "cannot be connected" in await refusal(setup, peer(await server(setup)))
