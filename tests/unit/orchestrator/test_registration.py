"""Jobs that the provider started by itself (control-api 6)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.orchestrator.conftest import Setup, batch

PATH = "/api/jobs/control/register"


def item(theirs: str | None = None, **changes: Any) -> dict[str, Any]:
    return {"spec": batch()["items"][0], "providerGeneratedId": theirs, **changes}


async def register(setup: Setup, *items: dict[str, Any]) -> httpx.Response:
    return await setup.post(PATH, {"items": list(items)}, setup.as_provider())


async def browse(setup: Setup) -> list[dict[str, Any]]:
    answer = await setup.get("/api/jobs/control/browse", setup.as_provider())
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_a_registered_job_belongs_to_the_named_user_and_waits_for_updates(setup: Setup) -> None:
    answer = await register(setup, item("slurm-7", createdBy="user"))
    (job_id,) = [response["id"] for response in answer.json()["responses"]]
    job = await setup.job(job_id)
    assert (job["owner"]["createdBy"], job["status"]["state"]) == ("user", "IN_QUEUE")
    await setup.update(job_id, state="RUNNING", status="It runs")
    assert (await setup.job(job_id))["status"]["state"] == "RUNNING"
    assert setup.provider.calls("jobs") == []


async def test_a_job_of_nobody_is_ours(setup: Setup) -> None:
    await register(setup, item())
    assert [job["owner"]["createdBy"] for job in await browse(setup)] == ["_ucloud"]


async def test_what_the_specification_asks_for_is_not_judged(setup: Setup) -> None:
    """G: it runs already."""
    spec = batch(application={"name": "unheard-of", "version": "1"}, parameters={"x": {"type": "text", "value": "y"}})
    answer = await register(setup, item(spec=spec["items"][0]))
    assert answer.status_code == 200


@pytest.mark.parametrize("again", [True, False], ids=["in a second request", "in the same request"])
async def test_an_id_at_the_provider_is_unique(setup: Setup, again: bool) -> None:
    if again:
        await register(setup, item("slurm-7"))
        answer = await register(setup, item(), item("slurm-7"))
    else:
        answer = await register(setup, item("slurm-7"), item("slurm-7"))
    assert answer.status_code == 409
    assert len(await browse(setup)) == again


PRODUCT = {"id": "example-compute", "category": "example-compute", "provider": "somebody"}
BAD: dict[str, tuple[dict[str, Any], int]] = {
    "another provider's product": ({"spec": batch(product=PRODUCT)["items"][0]}, 403),
    "no nodes": ({"spec": batch(replicas=0)["items"][0]}, 400),
    "NUL in the name of the owner": ({"createdBy": "a\0b"}, 400),
    "NUL in the id at the provider": ({"providerGeneratedId": "a\0b"}, 400),
    "rights without a project": ({"projectAllRead": True}, 400),
    "no specification": ({"spec": None}, 400),
}


@pytest.mark.parametrize(("changes", "status"), BAD.values(), ids=BAD.keys())
async def test_a_bad_registration_registers_nothing(setup: Setup, changes: dict[str, Any], status: int) -> None:
    answer = await register(setup, item(), item(**changes))
    assert answer.status_code == status, answer.text
    assert await browse(setup) == []
