"""Who can reach whom: a server for every rank, and questions from inside the containers."""

from __future__ import annotations

from tests.support.ray_hosts import RayHosts

SERVE = "while :; do hostname | nc -l -p 7000; done"
"""Tells everybody who asks the name of the rank."""


def reached(cluster: RayHosts, job_id: str, rank: int, *names: str) -> list[str]:
    """The ranks that answer that one, sorted, of those behind the names. All are asked at once, for a second."""
    asked = " ".join(f"(nc -w 1 {name} 7000 </dev/null 2>/dev/null) &" for name in names)
    return sorted(cluster.inside(job_id, rank, f"{asked} wait").split())
