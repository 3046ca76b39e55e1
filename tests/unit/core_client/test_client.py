"""The control API over real HTTP: tokens, refusals, broken answers, the exact form of an update."""

from __future__ import annotations

import asyncio
import json
import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_core import REFRESH_TOKEN, FakeCore, Fault
from ucloud_ray.core_client import CoreClient
from ucloud_ray.core_client.errors import (
    CoreAuthFailed,
    CoreError,
    CoreRefused,
    CoreUnavailable,
    CoreUnknownJob,
)
from ucloud_ray.core_client.wire_format import Charge, Item, update_item
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import JobState
from ucloud_ray.settings import CoreSettings

RUNS = Announce(state=JobState.RUNNING, status="The job is now running!")
ONE = Item(JobId("1"), RUNS)


def test_an_update_has_every_field_of_the_documented_example() -> None:
    """control-api 4.1; the payload is the example of the documentation."""
    assert update_item(Item(JobId("54112"), RUNS)) == {
        "id": "54112",
        "update": {
            "state": "RUNNING",
            "outputFolder": None,
            "status": "The job is now running!",
            "expectedState": None,
            "expectedDifferentState": None,
            "newTimeAllocation": None,
            "allowRestart": None,
            "newMounts": None,
            "timestamp": 0,
        },
    }


def test_an_update_carries_folder_and_time() -> None:
    update = Announce(status="more", output_folder="/1/x", new_time_allocation=7_200_000)
    wire = update_item(Item(JobId("1"), update))["update"]
    assert (wire["outputFolder"], wire["newTimeAllocation"], wire["state"]) == ("/1/x", 7_200_000, None)


@pytest.mark.parametrize(
    ("state", "sent"),
    [(JobState.SUCCESS, False), (JobState.FAILURE, False), (JobState.SUSPENDED, False), (JobState.EXPIRED, None)],
)
def test_restart_is_told_only_with_states_that_the_old_core_takes_it_with(state: JobState, sent: bool | None) -> None:
    """Control-api 4.1: 400 otherwise, also for EXPIRED, whatever LC-14 says of it."""
    wire = update_item(Item(JobId("1"), Announce(state=state, allow_restart=False)))["update"]
    assert wire["allowRestart"] is sent


@pytest.mark.parametrize(
    ("update", "again", "expected"),
    [
        (RUNS, False, None),
        (RUNS, True, True),
        (Announce(status="text"), True, None),
        (Announce(state=JobState.IN_QUEUE, status="queued"), True, None),
        (Announce(state=JobState.SUCCESS, expected_different_state=True), False, True),
    ],
)
def test_only_a_repeated_transition_is_conditional(update: Announce, again: bool, expected: bool | None) -> None:
    """LC-21; a text without a transition must not be lost by the condition (control-api 4.2)."""
    assert update_item(Item(JobId("1"), update, again))["update"]["expectedDifferentState"] is expected


async def test_an_update_arrives(core: FakeCore, client: CoreClient) -> None:
    await client.update([ONE, Item(JobId("2"), Announce(status="text"))])
    assert core.jobs["1"].states == ["RUNNING"]
    assert core.jobs["2"].texts == ["text"]
    assert core.refreshes == 1


async def test_concurrent_first_calls_renew_the_token_once(core: FakeCore, client: CoreClient) -> None:
    await asyncio.gather(*(client.update([ONE]) for _ in range(10)))
    assert core.refreshes == 1


async def test_an_expired_token_is_renewed_before_403_is_believed(core: FakeCore, client: CoreClient) -> None:
    """control-api 1.2."""
    await client.update([ONE])
    core.expire_tokens()
    await client.update([Item(JobId("1"), Announce(status="later"))])
    assert core.jobs["1"].texts == ["The job is now running!", "later"]
    assert core.refreshes == 2


async def test_a_job_is_unknown_only_after_a_renewed_token(core: FakeCore, client: CoreClient) -> None:
    with pytest.raises(CoreUnknownJob, match="permission") as refusal:
        await client.retrieve(JobId("99"))
    assert refusal.value.status == 403
    assert core.refreshes == 2


async def test_a_token_is_renewed_when_less_than_three_minutes_remain(core: FakeCore) -> None:
    """control-api 2.1; virtual time."""
    now = 0.0
    client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN), monotonic=lambda: now)
    await client.update([ONE])
    now = 600.0 - 181.0
    await client.update([ONE])
    assert core.refreshes == 1
    now = 600.0 - 179.0
    await client.update([ONE])
    assert core.refreshes == 2
    await client.close()


async def test_a_token_that_still_works_is_used_when_early_renewal_fails(core: FakeCore) -> None:
    now = 0.0
    client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN), monotonic=lambda: now)
    await client.update([ONE])
    core.refuse_refresh, now = 503, 500.0
    await client.update([ONE])
    now = 601.0
    with pytest.raises(CoreUnavailable):
        await client.update([ONE])
    assert len(core.requests) == 2
    await client.close()


async def test_a_refused_refresh_token_says_what_to_check_and_shows_nothing(core: FakeCore) -> None:
    client = CoreClient(CoreSettings(url=core.url, refresh_token="wrong-secret"))
    with pytest.raises(CoreAuthFailed, match=r"core\.refreshToken") as failure:
        await client.update([ONE])
    assert "wrong-secret" not in str(failure.value)
    assert core.requests == []
    await client.close()


async def test_a_missing_refresh_token_says_what_to_set() -> None:
    client = CoreClient(CoreSettings())
    with pytest.raises(CoreAuthFailed, match=r"Set core\.refreshToken"):
        await client.update([ONE])
    await client.close()


async def test_a_refresh_token_file_is_read_at_each_renewal(core: FakeCore, tmp_path: Path) -> None:
    file = tmp_path / "token"
    client = CoreClient(CoreSettings(url=core.url, refresh_token_file=file))
    with pytest.raises(CoreAuthFailed, match="cannot be read"):
        await client.update([ONE])
    file.write_text(REFRESH_TOKEN + "\n")
    await client.update([ONE])
    await client.close()


@pytest.mark.parametrize(
    ("fault", "reached", "down"),
    [
        (500, True, False),
        (502, True, True),
        (503, False, True),
        (429, False, True),
        (449, False, True),
        (Fault.LOST_REPLY, True, False),
        (Fault.NOT_JSON, True, True),
    ],
)
async def test_what_may_pass_is_unavailable(
    core: FakeCore, client: CoreClient, fault: Fault | int, reached: bool, down: bool
) -> None:
    core.faults.append(fault)
    with pytest.raises(CoreUnavailable) as failure:
        await client.update([ONE])
    assert (failure.value.reached, failure.value.down) == (reached, down)
    assert len(core.requests) == 1


async def test_an_answer_that_takes_too_long_is_unavailable(core: FakeCore) -> None:
    client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN, timeout_seconds=0.2))
    core.faults.append(Fault.HANG)
    with pytest.raises(CoreUnavailable) as failure:
        await client.update([ONE])
    assert failure.value.reached
    await client.close()


async def test_nobody_at_the_address_is_unavailable() -> None:
    core = FakeCore()
    async with core.running():
        pass
    client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN))
    with pytest.raises(CoreUnavailable) as failure:
        await client.update([ONE])
    assert (failure.value.reached, failure.value.down) == (False, True)
    await client.close()


async def test_a_400_is_a_refusal_with_its_reason(core: FakeCore, client: CoreClient) -> None:
    core.faults.append(400)
    with pytest.raises(CoreRefused, match="Told to answer 400") as refusal:
        await client.update([ONE])
    assert not isinstance(refusal.value, CoreUnknownJob)
    assert not refusal.value.retryable


async def test_a_404_without_json_says_nothing_about_jobs() -> None:
    """control-api 1.2: an unknown path; the address is wrong."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/auth/"):
            return httpx.Response(200, json={"responses": [{"accessToken": "opaque"}]})
        return httpx.Response(404, text="not found")

    client = CoreClient(CoreSettings(refresh_token="x"), transport=httpx.MockTransport(answer))
    with pytest.raises(CoreUnavailable, match=r"core\.url"):
        await client.update([ONE])
    await client.close()


@pytest.mark.parametrize("answer", [{}, {"responses": []}, {"responses": [{}]}, {"responses": None}])
async def test_a_refresh_answer_of_another_shape_is_unavailable(answer: dict[str, Any]) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=answer))
    client = CoreClient(CoreSettings(refresh_token="x"), transport=transport)
    with pytest.raises(CoreUnavailable, match="shape"):
        await client.update([ONE])
    await client.close()


async def test_browse_goes_through_all_pages(core: FakeCore, client: CoreClient) -> None:
    core.jobs["2"].state = "RUNNING"
    assert [job["id"] async for job in client.browse()] == ["1", "2", "3"]
    assert [job["id"] async for job in client.browse(filterState="RUNNING", includeUpdates=True)] == ["2"]


async def test_retrieve_gives_one_job(client: CoreClient) -> None:
    assert (await client.retrieve(JobId("2"), includeUpdates=True))["id"] == "2"


async def test_the_core_knows_what_it_lists(client: CoreClient) -> None:
    assert await client.knows(JobId("3"))
    assert not await client.knows(JobId("33"))


async def test_charges_go_out_as_documented_and_who_cannot_pay_comes_back(core: FakeCore, client: CoreClient) -> None:
    """control-api 8.3."""
    core.add("1", "poor")
    core.broke = {"poor"}
    charges = [Charge(JobId("1"), "1-charge", 15), Charge(JobId("poor"), "poor-charge", 15, 23)]
    answer = await client.charge_credits(charges)
    assert answer.insufficient_funds == {"poor"}
    assert answer.duplicate_charges == frozenset()
    await client.check_credits(charges)
    item = {"chargeId": "1-charge", "units": 15, "periods": 1, "performedBy": None, "description": None}
    assert [path.rsplit("/", 1)[1] for path, _ in core.other] == ["chargeCredits", "checkCredits"]
    assert core.other[0][1]["items"][0] == {"id": "1", **item}
    assert json.dumps(core.other[0][1]) == json.dumps(core.other[1][1])


@pytest.mark.parametrize(
    "error", [CoreUnavailable("w", True, False), CoreRefused(400, "w"), CoreUnknownJob(404, "w"), CoreAuthFailed("w")]
)
def test_an_error_survives_the_way_between_processes(error: CoreError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy), str(copy)) == (type(error), vars(error), str(error))
