"""Charges, usage reports and questions about funds, as the Core takes them (control-api 8).

`control.charger.CoreAccounting` and `control.credits.CoreFunds`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ucloud_ray.control.charger import ChargeRefused, ChargeUnclear
from ucloud_ray.control.ports import ChargeRow, CoreSilent
from ucloud_ray.core_client.client import CoreClient
from ucloud_ray.core_client.errors import CoreError, CoreRefused, CoreUnavailable
from ucloud_ray.core_client.wire_format import Charge, Report
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import AccountingStyle, JobSpec, Owner

_PERHAPS_UNKNOWN = (400, 403, 404)
"""How Cores refuse a job that they do not know (control-api 4.3, 8.3), and other things."""


class Accounting:
    def __init__(self, core: CoreClient, provider_id: str) -> None:
        self._core = core
        self._provider_id = provider_id

    async def charge(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        """See the port. A name that was charged before is as good as charged (ACC-8)."""
        try:
            if rows[0].charge.style == "reportUsage":
                return await self._report(rows)
            answer = await self._core.charge_credits([_charge(row) for row in rows])
        except CoreRefused as refused:
            raise await self._meaning(rows, refused) from None
        except CoreError as problem:
            raise _silence(problem) from None
        return frozenset(row.seq for row in rows if row.job_id in answer.insufficient_funds)

    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        """See the port. G refuses questions about jobs that it has not stored yet, K does not."""
        try:
            if style == "reportUsage":
                return all(await self._core.report_usage([self._question(id, spec)]))
            periods = 1 if style == "legacyCore" else spec.replicas
            answer = await self._core.check_credits([Charge(id, f"{id}-check", 1, periods)])
        except CoreRefused:
            return None
        except CoreError as problem:
            raise CoreSilent(str(problem)) from None
        return id not in answer.insufficient_funds

    async def _meaning(self, rows: Sequence[ChargeRow], refused: CoreRefused) -> ChargeRefused | CoreSilent:
        """Money is not given up because of a role or an address that is wrong for an hour: a charge is of an unknown
        job only if the Core surely has no such job (REC-9)."""
        if len(rows) > 1 or refused.status not in _PERHAPS_UNKNOWN:
            return ChargeRefused(str(refused))
        try:
            known = await self._core.knows(rows[0].job_id)
        except CoreError as problem:
            return _silence(problem)
        if not known:
            return ChargeRefused(str(refused), unknown_job=True)
        return ChargeRefused(str(refused)) if refused.status == 400 else ChargeUnclear(str(refused))

    async def _report(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        """A `true` says that the wallet is not locked (ACC-15)."""
        reports = [self._item(row.owner, row.category, row.charge.units, row.charge.charge_id) for row in rows]
        answers = await self._core.report_usage(reports)
        return frozenset(row.seq for row, unlocked in zip(rows, answers, strict=True) if not unlocked)

    def _question(self, id: JobId, spec: JobSpec) -> Report:
        """Nothing, under a scope of its own: nought under the job's would take back what an earlier life used."""
        return self._item(spec.owner, spec.machine.product.category, 0, f"job-{id}-check")

    def _item(self, owner: Owner, category: str, usage: int, scope: str) -> Report:
        return Report(owner, category, self._provider_id, usage, scope)


def _charge(row: ChargeRow) -> Charge:
    return Charge(row.job_id, row.charge.charge_id, row.charge.units, row.charge.periods)


def _silence(problem: CoreError) -> CoreSilent:
    """A 500 or a broken answer may be the fault of what was asked; everything else speaks of the moment."""
    unclear = isinstance(problem, CoreUnavailable) and not problem.down
    return ChargeUnclear(str(problem)) if unclear else CoreSilent(str(problem))
