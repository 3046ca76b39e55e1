"""A job as the orchestrator keeps it: what the user asked for, and the facts that updates change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ucloud_ray.orchestrator.update_rules import JobFacts
from ucloud_ray.wire.common import ProductReference

MAX_ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Draft:
    """A job before it has an id."""

    created_by: str
    project: str | None
    product: ProductReference
    application_name: str
    application_version: str
    title: str | None
    specification: dict[str, Any]
    """As `view` shows it, except for what facts and title overrule."""
    time_allocation: int | None
    """Milliseconds."""
    restart_on_exit: bool = False
    backend: str = "DOCKER"


@dataclass(frozen=True, slots=True)
class JobRecord:
    id: int
    created_at: int
    created_by: str
    project: str | None
    provider: str
    product_id: str
    product_category: str
    application_name: str
    application_version: str
    title: str | None
    specification: bytes
    """JSON."""
    provider_generated_id: str | None
    facts: JobFacts

    @property
    def product_key(self) -> tuple[str, str, str]:
        return (self.product_id, self.product_category, self.provider)


def parse_id(text: str) -> int | None:
    """The number of a job id; None for anything that is not the one way to write it."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_ID_DIGITS or text != str(int(text)):
        return None
    return int(text)


def record_of(row: Any) -> JobRecord:
    return JobRecord(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        project=row.project,
        provider=row.provider,
        product_id=row.product_id,
        product_category=row.product_category,
        application_name=row.application_name,
        application_version=row.application_version,
        title=row.title,
        specification=row.specification,
        provider_generated_id=row.provider_generated_id,
        facts=facts_of(row),
    )


def facts_of(row: Any) -> JobFacts:
    return JobFacts(
        state=row.state,
        updated_at=row.updated_at,
        update_count=row.update_count,
        started_at=row.started_at,
        time_allocation=row.time_allocation,
        output_folder=row.output_folder,
        allow_restart=row.allow_restart,
        resources=None if row.resources is None else orjson.loads(row.resources),
        restart_on_exit=row.restart_on_exit,
        restart_at=row.restart_at,
        restart_ordered=row.restart_ordered,
        soon_ends=row.soon_ends,
    )


def columns_of(facts: JobFacts) -> dict[str, Any]:
    return {
        "state": facts.state,
        "updated_at": facts.updated_at,
        "update_count": facts.update_count,
        "started_at": facts.started_at,
        "time_allocation": facts.time_allocation,
        "output_folder": facts.output_folder,
        "allow_restart": facts.allow_restart,
        "resources": None if facts.resources is None else orjson.dumps(facts.resources),
        "restart_on_exit": facts.restart_on_exit,
        "restart_at": facts.restart_at,
        "restart_ordered": facts.restart_ordered,
        "soon_ends": facts.soon_ends,
    }
