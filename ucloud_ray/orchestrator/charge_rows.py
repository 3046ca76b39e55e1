"""Statements about charges (control-api 8.3). A charge is recorded once per `chargeId` of a provider."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from ucloud_ray.orchestrator.tables import charges
from ucloud_ray.wire.accounting import ChargeItem


def known_charges(connection: Connection, provider: str, items: Sequence[ChargeItem]) -> set[str]:
    wanted = [item.charge_id for item in items]
    statement = select(charges.c.charge_id).where(charges.c.provider == provider, charges.c.charge_id.in_(wanted))
    return set(connection.execute(statement).scalars())


def record_charges(connection: Connection, provider: str, items: Sequence[ChargeItem], now: int) -> list[ChargeItem]:
    """Records what is new and returns what was there already, also within one request."""
    known = known_charges(connection, provider, items)
    duplicates = []
    for item in items:
        if item.charge_id in known:
            duplicates.append(item)
            continue
        known.add(item.charge_id)
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
            )
        )
    return duplicates
