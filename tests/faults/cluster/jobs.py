"""What three hosts sell in these tests, and jobs whose places are known: every host has a category of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults import programs
from tests.faults.installation import SHELLS, product
from tests.faults.planned import CROWDED, FINISHED, ROOMY, Planned
from tests.support.ray_hosts import NAMES
from tests.support.stack import Stack
from ucloud_ray.domain.texts import MACHINE_LOST

KINDS = ("native", "docker")
WIDE, NEAR = ({kind: f"{shape}-{kind}" for kind in KINDS} for shape in ("wide", "near"))
"""Categories with one place on every host, and on each of the first two: by kind."""
ON = tuple(f"host-{number}" for number in range(len(NAMES)))
"""Category of each host alone."""

GRACE_SECONDS = 40
"""`nodeLossGraceSeconds`: longer than a cut of 30 s, with the time that a host needs to come back after it."""

LOST = ("IN_QUEUE", "RUNNING", "FAILURE")


def _sold(number: int) -> dict[str, Any]:
    amounts = {ROOMY: 8, ON[number]: 8} | dict.fromkeys(WIDE.values(), 1)
    amounts |= {CROWDED: 1} if number == 0 else {}
    amounts |= dict.fromkeys(NEAR.values(), 1) if number < 2 else {}
    return {category: {"cpu": cpu, "memoryInGigs": cpu, "gpu": 0} for category, cpu in amounts.items()}


CONFIG: Mapping[str, Any] = {
    "products": [
        {"name": name, "category": name, "cpu": 1, "memoryInGigs": 1}
        for name in (ROOMY, CROWDED, *WIDE.values(), *NEAR.values(), *ON)
    ],
    "nodes": [
        {"match": {"host": name}, "categories": list(_sold(number)), "capacity": _sold(number)}
        for number, name in enumerate(NAMES)
    ],
    "policy": {
        "warmReplicaActors": 1,
        "replicasPerActor": 8,
        "stopGraceSeconds": 5,
        "nodeLossGraceSeconds": GRACE_SECONDS,
        "orphanGraceSeconds": 5,
    },
    "orchestrator": {"restartPauseSeconds": 0.5},
}


def all_supported(stack: Stack) -> bool:
    """Whether UCloud knows that every product runs every kind."""
    told = [entry["support"] for entry in stack.support()]
    return all(support[kind]["enabled"] for support in told for kind in KINDS)


def first_ones() -> Iterator[dict[str, Any]]:
    """Arguments of `Stack.create`."""
    for category in ON:
        for kind in KINDS:
            yield {"application": SHELLS[kind], "var": "true", "replicas": 2, "product": product(category)}


def gated(name: str, kind: str, category: str, replicas: int = 1) -> Planned:
    """Runs until the test lets it end."""
    text = f"{FINISHED} (exit code 7)"
    return Planned(f"{kind} {name}", kind, programs.gated("exit 7"), text, replicas=replicas, category=category)


def lost(name: str, kind: str, category: str, replicas: int = 1) -> Planned:
    """Its host, or that of one of its ranks, stays away for longer than the grace (SCH-16, LC-12)."""
    return Planned(
        f"{kind} {name}",
        kind,
        programs.gated("exit 7"),
        MACHINE_LOST,
        [LOST],
        replicas=replicas,
        category=category,
        cut_short=True,
    )


def short(name: str, kind: str, category: str) -> Planned:
    return Planned(f"{kind} {name}", kind, programs.ends("exit 3"), f"{FINISHED} (exit code 3)", category=category)
