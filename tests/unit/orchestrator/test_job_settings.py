"""What a user chose for all of their jobs (end-user-api 9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup

RETRIEVE, UPDATE = "/api/jobs/settings/retrieve", "/api/jobs/settings"


async def test_who_never_chose_has_the_defaults(setup: Setup) -> None:
    assert (await setup.get(RETRIEVE)).json() == {"toggled": False, "sampleRateValue": None}


async def test_what_was_chosen_last_is_shown_to_its_user_only(setup: Setup) -> None:
    for chosen in ({"toggled": False, "sampleRateValue": "1s"}, {"toggled": True, "sampleRateValue": "250ms"}):
        assert (await setup.post(UPDATE, chosen)).json() == {}
    assert (await setup.get(RETRIEVE)).json() == {"toggled": True, "sampleRateValue": "250ms"}
    other = await setup.get(RETRIEVE, setup.user("somebody"))
    assert other.json() == {"toggled": False, "sampleRateValue": None}


@pytest.mark.parametrize(
    "bad", [{}, {"toggled": "yes"}, {"toggled": True, "sampleRateValue": 5}, {"toggled": True, "sampleRateValue": "\0"}]
)
async def test_a_bad_choice_changes_nothing(setup: Setup, bad: dict[str, Any]) -> None:
    await setup.post(UPDATE, {"toggled": True, "sampleRateValue": "1s"})
    assert (await setup.post(UPDATE, bad)).status_code == 400
    assert (await setup.get(RETRIEVE)).json() == {"toggled": True, "sampleRateValue": "1s"}
