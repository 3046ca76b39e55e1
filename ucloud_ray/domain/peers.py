"""Which other jobs a job wants to reach, and under which names (ENV-47, ENV-50).

Used when a job is accepted. Whether the other job exists and may be reached is for the Core and for the start to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import PeerRequest

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def wished_peers(values: Iterable[Mapping[str, Any]], job_id: JobId) -> tuple[PeerRequest, ...]:
    """Every `peer` among values of parameters and resources, as they come from JSON; each host name once.

    `job_id` is the job's own. Raises `InvalidInvocation`.
    """
    found: dict[str, PeerRequest] = {}
    for value in values:
        if value.get("type") != "peer":
            continue
        peer = _peer(value, job_id)
        if found.setdefault(peer.hostname, peer) != peer:
            raise InvalidInvocation(f"Two jobs cannot both be called {peer.hostname!r}. Choose different host names.")
    return tuple(found.values())


def _peer(value: Mapping[str, Any], job_id: JobId) -> PeerRequest:
    given = value.get("hostname") or ""
    hostname = given.lower()
    if not _LABEL.fullmatch(hostname):
        raise InvalidInvocation(
            f"{given!r} cannot be the host name of a job. Use letters, digits and hyphens, at most 63 of them."
        )
    if hostname == "localhost" or re.fullmatch(rf"j-{re.escape(job_id.lower())}-job-\d+", hostname):
        raise InvalidInvocation(f"{given!r} is a name of the job itself. Choose another host name for the other job.")
    peer = PeerRequest(hostname, JobId(value.get("jobId") or ""))
    if not peer.job_id or peer.job_id == job_id:
        raise InvalidInvocation(f"The host name {given!r} does not come with another job to connect to.")
    return peer
