"""Wallets over HTTP: what charges and usage take out of them, who sees them, and what an empty one means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, batch, example, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import wallet_rows
from ucloud_ray.orchestrator.settings import EXAMPLE_PRODUCT, OrchestratorSettings
from ucloud_ray.settings import OrchestratorOptions

BROWSE = "/api/accounting/wallets/browse"
CURRENT = "/api/accounting/v2/browseWallets"
GRANT = "/api/accounting/wallets/grant"
CHARGE = "/api/jobs/control/chargeCredits"
CHECK = "/api/jobs/control/checkCredits"
REPORT = "/api/accounting/v2/reportUsage"
USER = {"type": "user", "username": "user"}
CATEGORY = {"name": "example-compute", "provider": "example"}
NOTHING: dict[str, Any] = {"insufficientFunds": [], "duplicateCharges": []}
PRICE = EXAMPLE_PRODUCT.price


@pytest.fixture
async def poor(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[Setup]:
    """Nobody has anything that was not granted."""
    async with running(without_grant(settings), provider) as made:
        yield made


def without_grant(settings: OrchestratorSettings) -> OrchestratorSettings:
    return replace(settings, options=OrchestratorOptions(initial_grant=0))


async def grant(setup: Setup, amount: int, owner: dict[str, str] = USER, **more: Any) -> str:
    item = {"owner": owner, "category": CATEGORY, "amount": amount, **more}
    answer = await setup.post(GRANT, {"items": [item]}, setup.user(admin=True))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["responses"][0]["id"])


async def wallet(setup: Setup, user: str = "user") -> Any:
    (found,) = (await setup.get(BROWSE, setup.user(user))).json()["items"]
    return found


async def balance(setup: Setup) -> int:
    """What is left, after a look at the books: every balance is its beginning less all that was taken."""

    def look(connection: Any) -> list[tuple[int, int]]:
        sums = wallet_rows.entry_sums(connection)
        every = [one for found in wallet_rows.of_owner(connection, None) for one in found.allocations]
        return [(one.used, sums.get(one.id, 0)) for one in every]

    assert all(used == entries for used, entries in await setup.orchestrator._database.read(look))
    return sum(one["balance"] for one in (await wallet(setup))["allocations"])


async def charge(setup: Setup, *charges: tuple[str, str, int], path: str = CHARGE, **more: Any) -> Any:
    items = [{"id": job, "chargeId": name, "units": units, **more} for job, name, units in charges]
    answer = await setup.post(path, {"items": items}, setup.as_provider())
    assert answer.status_code == 200, answer.text
    return answer.json()


def usage(amount: int, scope: str | None = "job-1", **more: Any) -> dict[str, Any]:
    report = example("derived-report-usage.request")["items"][0]
    return {**report, "usage": amount, "description": {"scope": scope, "description": None}, **more}


async def report(setup: Setup, *items: dict[str, Any]) -> Any:
    answer = await setup.post(REPORT, {"items": list(items)}, setup.as_provider())
    return answer.json()["responses"] if answer.status_code == 200 else answer.status_code


# ---------------------------------------------------------------------------------------------------- browsing


@pytest.mark.parametrize("which", [BROWSE, CURRENT])
async def test_a_wallet_has_the_documented_fields(setup: Setup, which: str) -> None:
    sample = example("user-wallets-browse.response" if which == BROWSE else "user-wallets-browse-v2.response")
    assert shape((await setup.get(which)).json()) == shape(sample)


async def test_both_eras_tell_the_same(poor: Setup) -> None:
    await grant(poor, 1_000)
    await report(poor, usage(300))
    (current,) = (await poor.get(CURRENT)).json()["items"]
    assert (current["quota"], current["totalUsage"], current["maxUsable"]) == (1_000, 300, 700)
    assert current["allocationGroups"][0]["group"]["usage"] == 300
    assert (await wallet(poor))["allocations"][0]["balance"] == 700


async def test_every_workspace_begins_with_the_initial_grant(setup: Setup) -> None:
    for user in ("user", "somebody-else"):
        (allocation,) = (await wallet(setup, user))["allocations"]
        assert allocation["initialBalance"] == allocation["balance"] == OrchestratorOptions().initial_grant
    assert (await wallet(setup))["owner"] == USER


async def test_without_an_initial_grant_there_is_no_wallet(poor: Setup) -> None:
    assert (await poor.get(BROWSE)).json() == {"itemsPerPage": 50, "items": [], "next": None}


async def test_wallets_are_paged_and_filtered(setup: Setup) -> None:
    """One wallet a user; administrators may page through all."""
    for user in ("a", "b", "c"):
        await wallet(setup, user)
    query = {"everybody": "true", "itemsPerPage": 2}
    first = (await setup.get(BROWSE, setup.user(admin=True), **query)).json()
    rest = (await setup.get(BROWSE, setup.user(admin=True), **query, next=first["next"])).json()
    assert [one["owner"]["username"] for one in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next"] is None
    assert (await setup.get(BROWSE, everybody="true")).status_code == 403
    assert (await setup.get(BROWSE, filterType="STORAGE")).json()["items"] == []


# ---------------------------------------------------------------------------------------------------- granting


async def test_an_administrator_grants(poor: Setup) -> None:
    number = await grant(poor, 5, endDate=9 * 10**12)
    (allocation,) = (await wallet(poor))["allocations"]
    assert (allocation["id"], allocation["allocationPath"]) == (number, [number])
    assert (allocation["initialBalance"], allocation["balance"], allocation["endDate"]) == (5, 5, 9 * 10**12)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 2**63},
        {"amount": 1.5},
        {"owner": {"type": "user"}},
        {"owner": {"type": "user", "username": "#P_example"}},
        {"owner": {"type": "user", "username": "a\0"}},
        {"owner": {"type": "team", "username": "a"}},
        {"category": {"name": "other", "provider": "example"}},
        {"startDate": 5, "endDate": 5},
        {"startDate": -1},
        {"endDate": 2**62},
    ],
)
async def test_a_bad_grant_grants_nothing(poor: Setup, changes: dict[str, Any]) -> None:
    good = {"owner": USER, "category": CATEGORY, "amount": 1}
    answer = await poor.post(GRANT, {"items": [good, {**good, **changes}]}, poor.user(admin=True))
    assert answer.status_code == 400
    assert answer.json()["why"].startswith("items[1]")
    assert (await poor.get(BROWSE)).json()["items"] == []


async def test_only_administrators_grant(poor: Setup) -> None:
    body = {"items": [{"owner": USER, "category": CATEGORY, "amount": 1}]}
    assert (await poor.post(GRANT, body)).status_code == 403
    assert (await poor.post(GRANT, body, poor.as_provider())).status_code == 403


# ---------------------------------------------------------------------------------------------------- charging


async def test_a_charge_costs_units_times_periods_times_price_once(setup: Setup) -> None:
    """ACC-4, ACC-5, ACC-7: the document's 15 minutes of 23 nodes."""
    job, before = await setup.create(replicas=23), await balance(setup)
    assert await charge(setup, (job, "a", 15), periods=23) == NOTHING
    assert before - await balance(setup) == 15 * 23 * PRICE
    again = await charge(setup, (job, "a", 15), (job, "b", 1), (job, "b", 1), periods=23)
    assert again == NOTHING | {"duplicateCharges": [{"id": job}, {"id": job}]}
    assert before - await balance(setup) == 16 * 23 * PRICE


async def test_a_charge_that_cannot_be_paid_takes_what_is_left(poor: Setup) -> None:
    await grant(poor, 3 * PRICE - 1)
    job = await poor.create()
    answer = await charge(poor, (job, "a", 2), (job, "b", 1), (job, "c", 1))
    assert answer == NOTHING | {"insufficientFunds": [{"id": job}, {"id": job}]}
    assert await balance(poor) == 0


async def test_a_charge_that_was_not_paid_is_not_paid_when_it_comes_again(poor: Setup) -> None:
    """Its first answer may have been lost. Once there is money again, the job may go on."""
    await grant(poor, 1)
    job = await poor.create()
    await charge(poor, (job, "a", 1))
    both = {"insufficientFunds": [{"id": job}], "duplicateCharges": [{"id": job}]}
    assert await charge(poor, (job, "a", 1)) == both
    await grant(poor, 10)
    assert await charge(poor, (job, "a", 1)) == NOTHING | {"duplicateCharges": [{"id": job}]}
    assert await balance(poor) == 10


async def test_a_charge_of_everything_is_paid(poor: Setup) -> None:
    await grant(poor, PRICE)
    job = await poor.create()
    assert await charge(poor, (job, "a", 1)) == NOTHING
    assert await balance(poor) == 0


async def test_checking_answers_as_charging_would_and_takes_nothing(poor: Setup) -> None:
    """ACC-9, of all items together."""
    await grant(poor, 3 * PRICE)
    job = await poor.create()
    await charge(poor, (job, "known", 1))
    charges = [(job, "known", 1), (job, "a", 1), (job, "a", 1), (job, "b", 2), (job, "c", 0)]
    checked = await charge(poor, *charges, path=CHECK)
    assert await balance(poor) == 2 * PRICE
    assert checked == await charge(poor, *charges)
    assert checked == {"insufficientFunds": [{"id": job}], "duplicateCharges": [{"id": job}, {"id": job}]}


async def test_an_unknown_job_in_a_batch_charges_nothing(setup: Setup) -> None:
    job, before = await setup.create(), await balance(setup)
    for other in ("77", "07", "x"):
        items = [{"id": job, "chargeId": "a", "units": 1}, {"id": other, "chargeId": "b", "units": 1}]
        assert (await setup.post(CHARGE, {"items": items}, setup.as_provider())).status_code == 404
    assert await balance(setup) == before


@pytest.mark.parametrize("item", [{"units": -1}, {"units": 2**53, "periods": 2**53}, {"units": 2**64}, {"units": "1"}])
async def test_a_senseless_charge_is_refused(setup: Setup, item: dict[str, Any]) -> None:
    job, before = await setup.create(), await balance(setup)
    body = {"items": [{"id": job, "chargeId": "a", **item}]}
    for path in (CHARGE, CHECK):
        assert (await setup.post(path, body, setup.as_provider())).status_code == 400
    assert await balance(setup) == before


async def test_what_is_free_costs_nothing(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    """ACC-10: no wallet is needed either."""
    products = (replace(EXAMPLE_PRODUCT, free_to_use=True),)
    async with running(replace(without_grant(settings), products=products), provider) as setup:
        job = await setup.create()
        assert await charge(setup, (job, "a", 15)) == NOTHING
        assert await charge(setup, (job, "b", 15), path=CHECK) == NOTHING
        assert await report(setup, usage(10**9)) == [True]
        assert (await setup.get(BROWSE)).json()["items"] == []


async def test_charges_at_once_leave_exact_books(poor: Setup) -> None:
    """Each of them twice, at the same moment, some beyond the end of the money."""
    await grant(poor, 30 * PRICE)
    job = await poor.create()
    answers = await asyncio.gather(*(charge(poor, (job, str(number % 40), 1)) for number in range(80)))
    assert sum(len(answer["duplicateCharges"]) for answer in answers) == 40
    assert await balance(poor) == 0


# ------------------------------------------------------------------------------------------------------- usage


async def test_usage_is_absolute_by_scope(poor: Setup) -> None:
    """ACC-13: the same report again changes nothing; a lower one gives back."""
    await grant(poor, 1_000)
    for amount, left in [(90, 910), (90, 910), (100, 900), (40, 960)]:
        assert await report(poor, usage(amount)) == [True]
        assert await balance(poor) == left
    assert await report(poor, usage(60, "job-2")) == [True]
    assert await balance(poor) == 900


async def test_usage_may_be_added(poor: Setup) -> None:
    await grant(poor, 1_000)
    assert await report(poor, usage(90, isDeltaCharge=True), usage(10, isDeltaCharge=True)) == [True, True]
    assert await balance(poor) == 900
    assert await report(poor, usage(50)) == [True]
    assert await balance(poor) == 950


async def test_absolute_usage_without_a_scope_stands_for_the_whole_wallet(poor: Setup) -> None:
    """O5."""
    await grant(poor, 1_000)
    await report(poor, usage(90), usage(80, "job-2"))
    assert await report(poor, usage(100, None)) == [True]
    assert await balance(poor) == 900


async def test_the_answer_is_false_as_soon_as_usage_equals_the_quota(poor: Setup) -> None:
    """O6, positional; what exceeds the quota is paid by the next grant."""
    await grant(poor, 100)
    assert await report(poor, usage(99), usage(100), usage(130), usage(99)) == [True, False, False, True]
    assert await report(poor, usage(130)) == [False]
    assert await balance(poor) == -30
    await grant(poor, 40)
    assert await report(poor, usage(131)) == [True]
    assert await balance(poor) == 9


async def test_the_answer_is_false_for_an_owner_without_a_wallet(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    """O6. An owner that nobody has heard of is an error."""
    other = replace(EXAMPLE_PRODUCT, name="other", category="other")
    async with running(replace(without_grant(settings), products=(EXAMPLE_PRODUCT, other)), provider) as setup:
        await grant(setup, 1)
        assert await report(setup, usage(1, categoryIdV2={"name": "other", "provider": "example"})) == [False]
        assert await report(setup, usage(1, owner={"type": "user", "username": "stranger"})) == 403


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"categoryIdV2": {"name": "other", "provider": "example"}}, 403),
        ({"categoryIdV2": {"name": "example-compute", "provider": "other"}}, 403),
        ({"owner": {"type": "project", "projectId": "p"}}, 403),
        ({"owner": {"type": "user", "username": ""}}, 403),
        ({"usage": -1}, 403),
        ({"usage": -91, "isDeltaCharge": True}, 403),
        ({"usage": 2**62}, 400),
        ({"description": {"scope": "a\0"}}, 400),
    ],
)
async def test_reports_before_a_bad_one_stay(poor: Setup, changes: dict[str, Any], status: int) -> None:
    """Control-api 8.1."""
    await grant(poor, 1_000)
    assert await report(poor, usage(90), {**usage(1), **changes}, usage(500)) == status
    assert await balance(poor) == 910


@pytest.mark.parametrize("amount", [1.5, 1.0, "1", True, None, 2**64])
async def test_usage_that_is_no_integer_is_a_bad_request(poor: Setup, amount: Any) -> None:
    """O6."""
    await grant(poor, 1_000)
    assert await report(poor, usage(90), {**usage(0), "usage": amount}) == 400
    assert await balance(poor) == 1_000


async def test_a_project_has_a_wallet_of_its_own(poor: Setup) -> None:
    project = {"type": "project", "projectId": "5a1b"}
    await grant(poor, 1_000)
    await grant(poor, 10, project)
    assert await report(poor, usage(10, owner=project), usage(9)) == [False, True]
    assert await balance(poor) == 991
    (theirs,) = (await poor.get(BROWSE, poor.user(admin=True) | {"Project": "5a1b"})).json()["items"]
    assert (theirs["owner"], theirs["allocations"][0]["balance"]) == (project, 0)
    assert (await poor.get(CURRENT, poor.user() | {"Project": "5a1b"})).status_code == 403


async def test_only_the_provider_reports(setup: Setup) -> None:
    assert (await setup.post(REPORT, {"items": []})).status_code == 403
    assert (await setup.post(REPORT, {"items": []}, setup.as_provider())).json() == {"responses": []}


# ---------------------------------------------------------------------------------------------------- no money


async def test_a_job_without_money_is_refused_and_stored_nowhere(poor: Setup) -> None:
    """ACC-18."""
    refused = await poor.post("/api/jobs", batch())
    assert refused.status_code == 402
    assert refused.json()["errorCode"] == "NOT_ENOUGH_COMPUTE_CREDITS"
    assert refused.json()["why"].startswith("This workspace has reached the compute quota.")
    await grant(poor, 1)
    first = await poor.create()
    await charge(poor, (first, "a", 1))
    assert (await poor.post("/api/jobs", batch())).status_code == 402
    assert poor.provider.calls("jobs")[1:] == []
    assert [job["id"] for job in (await poor.get("/api/jobs/browse")).json()["items"]] == [first]
    await grant(poor, 1)
    assert int(await poor.create()) == int(first) + 1


async def test_a_machine_without_money_is_not_resumed(poor: Setup) -> None:
    """SUS-7: it stays suspended, and the provider is not asked."""
    await grant(poor, 1)
    job = await poor.create()
    await poor.update(job, state="SUSPENDED")
    await charge(poor, (job, "a", 1))
    refused = await poor.post("/api/jobs/unsuspend", {"items": [{"id": job}]})
    assert (refused.status_code, refused.json()["errorCode"]) == (402, "NOT_ENOUGH_COMPUTE_CREDITS")
    assert refused.json()["why"].startswith("You do not have any resources to run the machine.")
    assert poor.provider.calls("jobs/unsuspend") == []
    assert (await poor.job(job))["status"]["state"] == "SUSPENDED"
    await grant(poor, 1)
    assert (await poor.post("/api/jobs/unsuspend", {"items": [{"id": job}]})).status_code == 200


async def test_users_see_the_products_that_they_were_granted_something_for(poor: Setup) -> None:
    """Mission document, retrieveProducts. An empty wallet is one; administrators see all."""

    async def seen(**who: Any) -> list[str]:
        return list((await poor.get("/api/jobs/retrieveProducts", poor.user(**who))).json()["productsByProvider"])

    assert (await seen(), await seen(admin=True)) == ([], ["example"])
    await grant(poor, 1)
    await report(poor, usage(5))
    assert (await seen(), await seen(name="stranger")) == (["example"], [])


async def test_nobody_pays_for_somebody_else(poor: Setup) -> None:
    await grant(poor, 10)
    answer = await poor.post("/api/jobs", batch(), poor.user("stranger"))
    assert answer.status_code == 402


def shape(value: Any) -> Any:
    """Names and types; what may be null is any."""
    if isinstance(value, dict):
        return {name: shape(entry) for name, entry in value.items() if name not in ("endDate", "grantedIn")}
    if isinstance(value, list):
        return [shape(entry) for entry in value]
    return type(value)
