"""`wallets` and `jobs delete`: what they ask, print, and leave with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore

GRANT = "/api/accounting/wallets/grant"


def wallet(**owner: str) -> dict[str, Any]:
    one = {"id": "7", "initialBalance": 500_000_000, "balance": 500, "endDate": None}
    return {"owner": owner, "paysFor": {"name": "cpu", "provider": "example"}, "allocations": [one]}


def test_wallets_are_listed_with_what_is_left(cli: Cli, core: FakeCore) -> None:
    core.wallets = [wallet(type="user", username="user"), wallet(type="project", projectId="5a1b")]
    outcome = cli("wallets", "list")
    assert outcome.status == 0
    assert [line.split() for line in outcome.out.splitlines()[1:]] == [
        ["user", "cpu@example", "7", "500000000", "500", "-"],
        ["project:5a1b", "cpu@example", "7", "500000000", "500", "-"],
    ]
    assert json.loads(cli("wallets", "list", "--json").out) == core.wallets


def test_a_grant_sends_exactly_what_was_said(cli: Cli, core: FakeCore) -> None:
    outcome = cli("wallets", "grant", "user", "example-compute", "500DKK", "--json")
    assert (outcome.status, json.loads(outcome.out)["allocation"]) == (0, "12")
    assert cli("wallets", "grant", "project:5a1b", "cpu@other", "3", "--for", "1h").status == 0
    [(path, first), (_, second)] = core.changes()
    assert path == GRANT
    assert first["items"] == [
        {
            "owner": {"type": "user", "username": "user"},
            "amount": 500_000_000,
            "category": {"name": "example-compute", "provider": "example"},
        }
    ]
    (item,) = second["items"]
    assert item["owner"] == {"type": "project", "projectId": "5a1b"}
    assert (item["amount"], item["category"]) == (3, {"name": "cpu", "provider": "other"})
    assert item["endDate"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["user", "example-compute", "0"], "'0' is no amount"),
        (["user", "example-compute", "1.5"], "write it like"),
        (["user", "cpu", "1"], "known: example-compute"),
        (["user", "example-compute", "1", "--for", "soon"], "'soon' is not a time"),
    ],
)
def test_a_grant_that_cannot_be_understood_grants_nothing(
    cli: Cli, core: FakeCore, words: list[str], says: str
) -> None:
    outcome = cli("wallets", "grant", *words)
    assert (outcome.status, core.changes()) == (2, [])
    assert says in outcome.err


def test_jobs_are_deleted(cli: Cli, core: FakeCore) -> None:
    assert cli("jobs", "delete", "1", "2").status == 0
    assert core.changes() == [("/api/jobs/delete", {"items": [{"id": "1"}, {"id": "2"}]})]
