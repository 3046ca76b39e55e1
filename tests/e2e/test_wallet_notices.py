"""A job whose wallet is locked ends at once: the provider hears of it from the orchestrator's own socket, over which it
listens, and not only from the answer to its next charge (ACC-16, control-api 9)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import yaml

from tests.e2e.conformance.looking import processes_in
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, PROVIDER, Stack, new_stack, states, texts
from ucloud_ray.orchestrator import tokens

GRANTED, PLENTY = "granted", "plenty"
CONFIG = {
    "orchestrator": {"initialGrant": 0},
    "accounting": {"style": "documented"},
    "policy": {"chargeIntervalSeconds": 3600},
    "products": [{"name": name, "category": name, "cpu": 1, "memoryInGigs": 1} for name in (GRANTED, PLENTY)],
    "nodes": [
        {
            "categories": [GRANTED, PLENTY],
            "capacity": {name: {"cpu": 4, "memoryInGigs": 4} for name in (GRANTED, PLENTY)},
        }
    ],
}
"""Nothing is charged before a job ends."""
ENOUGH = 10**9
SOON = "6s"
"""When an allocation ends: long enough for a busy machine to start a job."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    made = new_stack(NO_DOCKER)
    try:
        (made.data.parent / "ucloud-ray.yaml").write_text(yaml.safe_dump(CONFIG))
        made.up()
        made.add_shells()
        grant(made, PLENTY)
        yield made
    finally:
        made.close()


def grant(stack: Stack, category: str, *more: str) -> None:
    done = stack.cli("wallets", "grant", "user", category, str(ENOUGH), *more)
    assert done.returncode == 0, done.stderr


def start(stack: Stack, category: str) -> str:
    product = {"id": category, "category": category, "provider": PROVIDER}
    job_id = stack.create(NATIVE_SHELL, var="exec sleep 600", product=product)
    stack.wait_state(job_id, "RUNNING")
    return job_id


def use_up(stack: Stack, category: str) -> bool:
    """As a second provider's part, say its storage, would; whether the wallet is still open."""
    usage = {
        "isDeltaCharge": True,
        "owner": {"type": "user", "username": "user"},
        "categoryIdV2": {"name": category, "provider": PROVIDER},
        "usage": ENOUGH + 1,
        "description": {"scope": "something-else"},
    }
    headers = {"Authorization": f"Bearer {tokens.provider_token(stack.keys, PROVIDER)}"}
    url = f"{stack.url}/api/accounting/v2/reportUsage"
    answer = httpx.post(url, json={"items": [usage]}, headers=headers, timeout=30.0)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["responses"][0])


@pytest.mark.parametrize("why", ["its allocation ends", "a report of usage locks it"])
def test_a_job_ends_as_soon_as_its_wallet_is_locked(stack: Stack, why: str) -> None:
    """Others go on. No charge is due for an hour, so nothing else can have ended it."""
    by_time = why == "its allocation ends"
    grant(stack, GRANTED, *(("--for", SOON) if by_time else ()))
    unpaid, paid = start(stack, GRANTED), start(stack, PLENTY)
    if not by_time:
        assert use_up(stack, GRANTED) is False
    shown = stack.wait_state(unpaid, timeout=45.0)
    assert states(shown) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(shown)[-1] == "Your job has been terminated (No more credits)"
    assert processes_in(stack, unpaid) == []
    assert states(stack.job(paid)) == ["IN_QUEUE", "RUNNING"]
    stack.stop(paid)
