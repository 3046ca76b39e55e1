"""Our updates and charges as the Core reads them (control-api 4.1, 8.3); nothing is sent here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import JobState, Owner
from ucloud_ray.wire.common import to_wire
from ucloud_ray.wire.updates import JobUpdate, JobUpdateItem

_MAY_ALLOW_RESTART = (JobState.SUCCESS, JobState.FAILURE, JobState.SUSPENDED)
"""K answers 400 to `allowRestart` with another state, also with EXPIRED, where LC-14 has it false (control-api 4.1)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One update of one job. `again`: it may have been applied already (LC-21)."""

    job_id: JobId
    update: Announce
    again: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """`units` times `periods` of the product's price; the same `charge_id` is charged once (control-api 8.3)."""

    job_id: JobId
    charge_id: str
    units: int
    periods: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """All usage so far under a scope, which is never left out (control-api 8.1, O5)."""

    owner: Owner
    category: str
    provider: str
    usage: int
    scope: str


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    insufficient_funds: frozenset[JobId]
    duplicate_charges: frozenset[JobId]


def update_item(item: Item) -> dict[str, Any]:
    """Every field that K writes, with null for "unchanged"; the timestamp is never null, which G refuses."""
    update = item.update
    model = JobUpdate(
        state=update.state.value if update.state else None,
        status=update.status,
        output_folder=update.output_folder,
        expected_different_state=_only_if_different(item) or None,
        new_time_allocation=update.new_time_allocation,
        allow_restart=update.allow_restart if update.state in _MAY_ALLOW_RESTART else None,
    )
    wire = to_wire(JobUpdateItem(id=item.job_id, update=model))
    # K does not know this field, and for G null is "unchanged".
    del wire["update"]["resourceList"]
    return wire


def can_be_doubled(update: Announce) -> bool:
    """Whether the Core would record it twice if it came twice: the condition that it be news helps states alone."""
    return not update.expected_different_state and update.state in (None, JobState.IN_QUEUE)


def is_recorded(update: Announce, newest: dict[str, Any] | None) -> bool:
    """Whether the newest update of a job at the Core is this one."""
    if newest is None:
        return False
    told = (newest.get("state"), newest.get("status"), newest.get("outputFolder"))
    return told == (update.state.value if update.state else None, update.status, update.output_folder)


def charge_item(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.job_id,
        "chargeId": charge.charge_id,
        "units": charge.units,
        "periods": charge.periods,
        "performedBy": None,
        "description": None,
    }


def report_item(report: Report) -> dict[str, Any]:
    owner = report.owner
    payer = {"type": "project", "projectId": owner.project} if owner.project else _user(owner.created_by)
    return {
        "isDeltaCharge": False,
        "owner": payer,
        "categoryIdV2": {"name": report.category, "provider": report.provider},
        "usage": report.usage,
        "description": {"scope": report.scope, "description": None},
    }


def _user(name: str) -> dict[str, Any]:
    return {"type": "user", "username": name}


def report_answer(answer: dict[str, Any], count: int) -> list[bool]:
    """One per item. Raises `KeyError` or `TypeError` when the answer has another shape."""
    unlocked = list(answer["responses"])
    if len(unlocked) != count or not all(isinstance(one, bool) for one in unlocked):
        raise TypeError("one boolean per item")
    return unlocked


def charge_answer(answer: dict[str, Any]) -> ChargeAnswer:
    """Raises `KeyError` or `TypeError` when the answer has another shape."""
    return ChargeAnswer(_ids(answer["insufficientFunds"]), _ids(answer["duplicateCharges"]))


def _ids(found: Sequence[dict[str, Any]]) -> frozenset[JobId]:
    return frozenset(JobId(entry["id"]) for entry in found)


def _only_if_different(item: Item) -> bool:
    if item.update.expected_different_state:
        return True
    # IN_QUEUE twice is no transition twice, and with the condition its text would be lost whenever the first attempt
    # was not applied, because a new job is IN_QUEUE from its creation (control-api 4.2).
    return item.again and item.update.state not in (None, JobState.IN_QUEUE)
