"""Which updates of a provider count (control-api 4.2, LC-16 to LC-23)."""

from __future__ import annotations

from typing import Any

import pytest

from ucloud_ray.orchestrator.update_rules import Applied, JobFacts, apply_updates
from ucloud_ray.wire.updates import JobUpdate

CREATED = 1_000


def facts(state: str = "IN_QUEUE", **more: Any) -> JobFacts:
    return JobFacts(state, updated_at=CREATED, **more)


def applied(before: JobFacts, *updates: JobUpdate, now: int = 5_000) -> Applied:
    return apply_updates(before, updates, now)


def test_an_update_changes_the_state_and_is_recorded_with_every_field() -> None:
    result = applied(facts(), JobUpdate(state="RUNNING", status="Go"))
    assert result.facts.state == "RUNNING"
    assert result.recorded == (
        {
            "state": "RUNNING", "outputFolder": None, "status": "Go", "expectedState": None,
            "expectedDifferentState": None, "newTimeAllocation": None, "allowRestart": None, "newMounts": None,
            "timestamp": 5_000,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("current", "update", "expected"),
    [
        ("IN_QUEUE", JobUpdate(state="RUNNING", expected_state="IN_QUEUE"), True),
        ("IN_QUEUE", JobUpdate(state="RUNNING", expected_state="SUSPENDED"), False),
        ("RUNNING", JobUpdate(state="RUNNING", expected_different_state=True), False),
        ("IN_QUEUE", JobUpdate(state="RUNNING", expected_different_state=True), True),
        ("RUNNING", JobUpdate(status="text", expected_different_state=True), True),
        ("RUNNING", JobUpdate(state="RUNNING"), True),
        # expectedState wins over expectedDifferentState
        ("RUNNING", JobUpdate(state="RUNNING", expected_state="RUNNING", expected_different_state=True), True),
        ("SUCCESS", JobUpdate(state="RUNNING", status="again"), False),
        ("EXPIRED", JobUpdate(state="CANCELING"), False),
        ("FAILURE", JobUpdate(state="SUCCESS"), True),
        ("SUCCESS", JobUpdate(status="text only"), True),
        ("RUNNING", JobUpdate(state="CANCELING"), True),
    ],
)
def test_an_update_is_applied_or_dropped_whole(current: str, update: JobUpdate, expected: bool) -> None:
    before = facts(current)
    result = applied(before, update)
    assert len(result.recorded) == expected
    assert expected or result.facts == before


def test_updates_of_one_request_see_each_other_and_share_a_timestamp() -> None:
    result = applied(facts(), JobUpdate(state="RUNNING"), JobUpdate(state="SUCCESS"), JobUpdate(state="RUNNING"))
    assert result.facts.state == "SUCCESS"
    assert [update["timestamp"] for update in result.recorded] == [5_000, 5_000]
    assert result.facts.update_count == 2


def test_timestamps_ascend_even_if_the_clock_does_not() -> None:
    first = applied(facts(), JobUpdate(status="a"), now=500)
    second = applied(first.facts, JobUpdate(status="b"), now=500)
    assert first.recorded[0]["timestamp"] == CREATED + 1
    assert second.recorded[0]["timestamp"] == CREATED + 2


def test_started_at_moves_with_each_change_to_running_only() -> None:
    """LC-18, LC-22."""
    first = applied(facts(), JobUpdate(state="RUNNING"), now=2_000).facts
    repeated = applied(first, JobUpdate(state="RUNNING"), now=3_000).facts
    resumed = applied(repeated, JobUpdate(state="SUSPENDED"), JobUpdate(state="RUNNING"), now=4_000).facts
    assert [first.started_at, repeated.started_at, resumed.started_at] == [2_000, 2_000, 4_000]


def test_expires_at_is_start_plus_allocation_and_moves_with_an_extension() -> None:
    """LC-23, LC-24."""
    running = applied(facts(time_allocation=3_600_000), JobUpdate(state="RUNNING"), now=2_000).facts
    extended = applied(running, JobUpdate(new_time_allocation=7_200_000)).facts
    assert facts(time_allocation=3_600_000).expires_at is None
    assert running.expires_at == 3_602_000
    assert extended.expires_at == 7_202_000


def test_restart_may_be_allowed_only_at_an_end_or_a_suspension() -> None:
    assert applied(facts("RUNNING"), JobUpdate(state="SUCCESS", allow_restart=True)).facts.allow_restart
    assert not applied(facts("RUNNING"), JobUpdate(state="EXPIRED", allow_restart=True)).facts.allow_restart
    assert not applied(facts("RUNNING"), JobUpdate(status="x", allow_restart=True)).facts.allow_restart


def test_folder_and_resources_are_replaced_and_invalid_resources_dropped() -> None:
    """O17."""
    result = applied(facts(), JobUpdate(output_folder="/1/out", resource_list=[{"type": "network", "id": "7"}, {}]))
    assert result.facts.output_folder == "/1/out"
    assert result.facts.resources == [{"type": "network", "id": "7"}]
    assert applied(result.facts, JobUpdate(status="x")).facts.output_folder == "/1/out"
