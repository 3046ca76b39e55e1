"""A Core in memory: applies updates as control-api 4.2 says, remembers charges by name. Outlives every supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ucloud_ray.control.ports import ChargeRow
from ucloud_ray.core_client.errors import CoreUnknownJob
from ucloud_ray.core_client.wire_format import Item, update_item
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import AccountingStyle, JobSpec

FINAL = ("SUCCESS", "FAILURE", "EXPIRED")


@dataclass
class KnownJob:
    state: str = "IN_QUEUE"
    updates: list[dict[str, Any]] = field(default_factory=list)
    """Those that were applied: what a user sees."""

    @property
    def states(self) -> list[str]:
        return [update["state"] for update in self.updates if update["state"]]

    @property
    def texts(self) -> list[str]:
        return [update["status"] for update in self.updates if update["status"]]

    def apply(self, update: dict[str, Any]) -> None:
        state = update["state"]
        if update["expectedDifferentState"] and state == self.state:
            return
        if self.state in FINAL and state is not None and state not in FINAL:
            return
        self.state = state or self.state
        self.updates.append(update)


@dataclass
class MemoryCore:
    jobs: dict[str, KnownJob] = field(default_factory=dict)
    denied: bool = False
    """It knows no job any more."""
    funds: bool = True
    charged: dict[str, int] = field(default_factory=dict)
    """Name of each charge to its units."""

    def job(self, id: str) -> KnownJob:
        return self.jobs.setdefault(id, KnownJob())

    async def update(self, items: Sequence[Item]) -> None:
        if self.denied:
            raise CoreUnknownJob(404, "Not found or permission denied")
        for item in items:
            self.job(item.job_id).apply(update_item(item)["update"])

    async def knows(self, id: JobId) -> bool:
        return not self.denied

    async def newest_updates(self, ids: Sequence[JobId]) -> dict[str, dict[str, Any]]:
        return {one: self.jobs[one].updates[-1] for one in ids if one in self.jobs and self.jobs[one].updates}

    async def charge(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        for row in rows:
            self.charged[row.charge.charge_id] = row.charge.units
        return frozenset() if self.funds else frozenset(row.seq for row in rows)

    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        return self.funds

    def units(self, id: str) -> int:
        """Charged for a job in all."""
        return sum(units for name, units in self.charged.items() if name.startswith(f"{id}-charge-"))
