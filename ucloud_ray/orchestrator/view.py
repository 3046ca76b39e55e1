"""A job as JSON, for users and for the provider: every field of the documented form, absent values as `null`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ucloud_ray.orchestrator.acl_rules import entries
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.job_query import EVERYTHING, Flags
from ucloud_ray.orchestrator.job_record import JobRecord
from ucloud_ray.orchestrator.products import ProductBook

SITE_VERSION = 3
Grants = Mapping[str, Sequence[str]]
"""User name to permissions."""


class JobView:
    def __init__(self, catalogue: Catalogue, products: ProductBook) -> None:
        self._catalogue = catalogue
        self._products = products

    def job(
        self,
        record: JobRecord,
        flags: Flags,
        myself: Sequence[str],
        updates: Sequence[bytes] = (),
        grants: Grants | None = None,
    ) -> dict[str, Any]:
        """`updates` as stored; shown with the flag only."""
        shown = {
            "id": str(record.id),
            "owner": {"createdBy": record.created_by, "project": record.project},
            "updates": [orjson.Fragment(update) for update in updates] if flags.updates else [],
            "specification": specification(record),
            "status": self.status(record, flags),
            "createdAt": record.created_at,
            "output": _output(record),
            "permissions": {"myself": list(myself), "others": entries(grants or {}) if flags.others else None},
        }
        if record.provider_generated_id is not None:
            shown["providerGeneratedId"] = record.provider_generated_id
        return shown

    def for_provider(self, record: JobRecord, myself: Sequence[str] = (), grants: Grants | None = None) -> Any:
        """Complete, as provider-api 6.1 describes it; the provider has written the updates itself."""
        return self.job(record, EVERYTHING, myself, grants=grants)

    def status(self, record: JobRecord, flags: Flags = EVERYTHING) -> dict[str, Any]:
        facts = record.facts
        entry = self._catalogue.find(record.application_name, record.application_version)
        support = self._products.support(record.product_key)
        return {
            "state": facts.state,
            "jobParametersJson": self._parameters(record) if flags.parameters else None,
            "startedAt": facts.started_at,
            "expiresAt": facts.expires_at,
            "resolvedApplication": entry.json if entry and flags.application else None,
            "resolvedSupport": support.resolved if support and flags.support else None,
            "resolvedProduct": self._products.json(record.product_key) if flags.product else None,
            "allowRestart": facts.allow_restart,
        }

    def _parameters(self, record: JobRecord) -> dict[str, Any]:
        """`ExportedParameters` (models 12)."""
        spec = specification(record)
        entry = self._catalogue.find(record.application_name, record.application_version)
        support = self._products.support(record.product_key)
        return {
            "siteVersion": SITE_VERSION,
            "request": {
                "application": spec["application"],
                "product": spec["product"],
                "name": spec["name"],
                "replicas": spec["replicas"],
                "parameters": spec["parameters"] or {},
                "resources": spec["resources"] or [],
                "timeAllocation": spec["timeAllocation"],
                "resolvedProduct": self._products.json(record.product_key),
                "resolvedApplication": entry.json if entry else None,
                "resolvedSupport": support.resolved if support else None,
                "allowDuplicateJob": spec["allowDuplicateJob"],
                "sshEnabled": spec["sshEnabled"],
            },
            "resolvedResources": {"ingress": {}},
            "machineType": self._products.machine(record.product_key),
        }


def specification(record: JobRecord) -> dict[str, Any]:
    """What the user asked for, with what has changed since; an extension only shows in `expiresAt` (LC-24)."""
    spec: dict[str, Any] = orjson.loads(record.specification)
    spec["name"] = record.title
    if record.facts.time_allocation is None:
        spec["timeAllocation"] = None
    if record.facts.resources is not None:
        spec["resources"] = record.facts.resources
    return spec


def _output(record: JobRecord) -> dict[str, Any] | None:
    folder = record.facts.output_folder
    return None if folder is None else {"outputFolder": folder}
