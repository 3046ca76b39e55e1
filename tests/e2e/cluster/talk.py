"""Who can reach whom: a server for every rank, and questions from inside the containers."""

from __future__ import annotations

from tests.support.ray_hosts import RayHosts

SERVE = "while :; do hostname | nc -l -p 7000; done"
"""Tells everybody who asks the name of the rank."""


def reached(cluster: RayHosts, job_id: str, rank: int, *names: str) -> list[str]:
    """The ranks that answer that one, sorted, of those behind the names. All are asked at once.

    A server that just answered somebody else may need a moment until it listens again, and refuses meanwhile.
    """
    attempt = 'said=$(nc -w 1 $1 7000 </dev/null 2>/dev/null); [ -n "$said" ] && break'
    ask = f"ask() {{ for pause in 0 0.1 0.3; do sleep $pause; {attempt}; done; echo $said; }}"
    asked = " ".join(f"ask {name} &" for name in names)
    return sorted(cluster.inside(job_id, rank, f"{ask}; {asked} wait").split())
