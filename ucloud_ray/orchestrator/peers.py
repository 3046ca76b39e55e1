"""The jobs that a new job wants to reach: values of type `peer` (end-user-api 4.2, ENV-49, ENV-50). Called by creation.

What a value must be like follows from the specification alone; whether the other job runs and is the user's to connect
to is asked of the database, before anything is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from ucloud_ray.orchestrator.access import EDIT, reach
from ucloud_ray.orchestrator.catalogue import CatalogueEntry
from ucloud_ray.orchestrator.errors import BadRequest, NotFound
from ucloud_ray.orchestrator.products import Support
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.jobs import JobSpecification
from ucloud_ray.wire.values import PeerValue

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class WantedPeer:
    field: str
    """Where it stands in the specification."""
    job_id: str


def wanted_peers(spec: JobSpecification, entry: CatalogueEntry, support: Support) -> list[WantedPeer]:
    """Raises `BadRequest`; the text names the field."""
    found: dict[str, WantedPeer] = {}
    for field, value in _given(spec):
        if field.startswith("resources") and entry.parsed.invocation.allow_additional_peers is False:
            raise BadRequest(f"{field}: the application {entry.parsed.metadata.name} takes no further peers")
        if not support.has(entry.backend, "peers"):
            raise BadRequest(f"{field}: jobs of this kind cannot be connected on this machine type; choose another one")
        if not _LABEL.fullmatch(value.hostname):
            raise BadRequest(f"{field}: the hostname must have letters, digits and '-' only, like 'my-database'")
        if value.hostname.lower() in found:
            raise BadRequest(f"{field}: the hostname {value.hostname} leads to another job already")
        found[value.hostname.lower()] = WantedPeer(field, value.job_id)
    return list(found.values())


def check_reachable(connection: Connection, user: User, peers: Iterable[WantedPeer]) -> None:
    """Raises `BadRequest` for a job that does not run, or that is not the user's to connect to."""
    for peer in peers:
        try:
            found = reach(connection, user, peer.job_id, EDIT)
        except NotFound as unknown:
            raise BadRequest(f"{peer.field}: {unknown.why}") from unknown
        if found.record.facts.state != "RUNNING":
            raise BadRequest(f"{peer.field}: the job {peer.job_id} is not running; start it first")


def _given(spec: JobSpecification) -> Iterator[tuple[str, PeerValue]]:
    for name, value in (spec.parameters or {}).items():
        if isinstance(value, PeerValue):
            yield f"parameters.{name}", value
    for index, value in enumerate(spec.resources or []):
        if isinstance(value, PeerValue):
            yield f"resources[{index}]", value
