"""The other jobs that a job wants to reach: values of type `peer` among parameters and resources (ENV-47, ENV-50).

Pure; called by `convert`. Whether they run and may be reached is found out when the job starts (ENV-49).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import PeerRequest
from ucloud_ray.domain.requests import is_possible_id
from ucloud_ray.wire import refusals
from ucloud_ray.wire.applications import Application
from ucloud_ray.wire.jobs import Job
from ucloud_ray.wire.refusals import ConversionRefused
from ucloud_ray.wire.values import PeerValue

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label in lower case."""

_LOCAL = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def peers_of(job: Job, application: Application) -> tuple[PeerRequest, ...]:
    """Those of parameters first, in the order of the declarations. Raises `ConversionRefused`."""
    own = re.compile(rf"j-{re.escape(job.id.lower())}-job-[0-9]+")
    found: dict[str, PeerRequest] = {}
    for hostname, peer_id in _given(job, application):
        peer = PeerRequest(_checked(hostname), JobId(peer_id))
        if not is_possible_id(peer_id):
            raise ConversionRefused(f"The job to connect to as {hostname!r} is not named by an id that UCloud gives")
        if peer.hostname in _LOCAL or own.fullmatch(peer.hostname) or peer_id == job.id:
            raise ConversionRefused(f"The host name {hostname!r} leads to the job itself; choose another one")
        if found.setdefault(peer.hostname, peer) != peer:
            raise ConversionRefused(f"Two jobs cannot both be reached as {hostname!r}; choose another name for one")
    return tuple(found.values())


def _given(job: Job, application: Application) -> Iterator[tuple[str, str]]:
    """Values of parameters that neither the application nor a workflow declares are ignored (INV-3, INV-43)."""
    values = job.specification.parameters or {}
    names = dict.fromkeys(parameter.name for parameter in refusals.declared(application, job.specification))
    declared = (values.get(name) for name in names)
    for value in (*declared, *(job.specification.resources or [])):
        if isinstance(value, PeerValue):
            yield value.hostname, value.job_id


def _checked(hostname: str) -> str:
    lower = hostname.lower()
    if not hostname.isascii() or not _LABEL.fullmatch(lower):
        raise ConversionRefused(
            f"The host name {hostname!r} must have letters, digits and '-' only, at most 63 of them, and neither begin "
            "nor end with '-'"
        )
    return lower
