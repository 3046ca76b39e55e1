"""Statements about charges (control-api 8.3). A charge is recorded once per `chargeId` of a provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from ucloud_ray.orchestrator.products import ProductKey
from ucloud_ray.orchestrator.tables import charges, jobs
from ucloud_ray.orchestrator.wallet_rows import Owner, owner_of
from ucloud_ray.wire.accounting import ChargeItem


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a job, and for what."""

    owner: Owner
    product: ProductKey

    @property
    def category(self) -> tuple[str, str]:
        return (self.product[2], self.product[1])


def payers(connection: Connection, provider: str, ids: Iterable[int]) -> dict[int, Payer]:
    """Only jobs of that provider."""
    columns = (jobs.c.id, jobs.c.created_by, jobs.c.project, jobs.c.product_id, jobs.c.product_category)
    rows = connection.execute(select(*columns).where(jobs.c.id.in_(list(ids)), jobs.c.provider == provider))
    return {
        row.id: Payer(owner_of(row.created_by, row.project), (row.product_id, row.product_category, provider))
        for row in rows
    }


def known_charges(connection: Connection, provider: str, items: Sequence[ChargeItem]) -> dict[str, bool]:
    """Those that were recorded before, and whether less was taken than they cost."""
    wanted = [item.charge_id for item in items]
    statement = select(charges.c.charge_id, charges.c.short)
    statement = statement.where(charges.c.provider == provider, charges.c.charge_id.in_(wanted))
    return {row.charge_id: row.short for row in connection.execute(statement)}


def record(connection: Connection, provider: str, item: ChargeItem, amount: int, short: bool, now: int) -> None:
    connection.execute(
        insert(charges).values(
            provider=provider,
            charge_id=item.charge_id,
            job_id=int(item.id),
            units=item.units,
            periods=item.periods,
            performed_by=item.performed_by,
            description=item.description,
            charged_at=now,
            amount=amount,
            short=short,
        )
    )
