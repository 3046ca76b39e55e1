"""Names in Ray: actors, labels, resources, placement groups. Fixed, because operators and restarts rely on them."""

from __future__ import annotations

from collections.abc import Mapping

from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import size_of

SUPERVISOR = "JobSupervisor"
HOST_LABEL = "ucloud-ray/host"
"""Our name of a machine; a raylet that restarts has a new node id but the same label (D7)."""

GPUS_LABEL = "ucloud-ray/gpus"
"""Names of a machine's devices, joined by `_`, where they are not simply numbered from 0."""

AGENT_PREFIX = "node-"
REPLICA_PREFIX = "replica-"
GROUP_PREFIX = "ucloud-ray."

_STEP = 10_000
"""Ray keeps four decimals of a resource."""


def group(uid: str, incarnation: int) -> str:
    """Name of the placement group of one attempt."""
    return f"{GROUP_PREFIX}{uid}.{incarnation}"


def parse_group(name: str) -> tuple[str, int] | None:
    """uid and incarnation; None for a group that is not ours."""
    uid, dot, number = name.removeprefix(GROUP_PREFIX).rpartition(".")
    return (uid, int(number)) if name.startswith(GROUP_PREFIX) and dot and number.isdigit() else None


def bundle(machine: Machine) -> dict[str, float]:
    """What one rank reserves: cores and decimal gigabytes of its category, and GPUs. Which ones is in our own books:
    Ray would choose anew after it was restarted (decision 0009)."""
    category, size = machine.product.category, size_of(machine)
    amounts = {
        f"ucloud-ray/{category}/cpu": size.cpu_milli / 1000,
        f"ucloud-ray/{category}/memory": -(-size.memory_bytes * _STEP // 10**9) / _STEP,
        f"ucloud-ray/{category}/gpu": float(size.gpu),
        "GPU": float(size.gpu),
    }
    return {name: amount for name, amount in amounts.items() if amount > 0}


def capacity(resources: Mapping[str, float]) -> dict[str, tuple[int, int, int]]:
    """Category to (thousandths of a core, bytes, GPUs), from a Ray node's resources."""
    found: dict[str, list[int]] = {}
    for name, amount in resources.items():
        prefix, _, rest = name.partition("/")
        category, _, kind = rest.rpartition("/")
        if prefix != "ucloud-ray" or not category:
            continue
        sold = found.setdefault(category, [0, 0, 0])
        match kind:
            case "cpu":
                sold[0] = round(amount * 1000)
            case "memory":
                sold[1] = round(amount * 10**9)
            case "gpu":
                sold[2] = int(amount)
    return {category: (sold[0], sold[1], sold[2]) for category, sold in found.items()}


def gpus(resources: Mapping[str, float], labels: Mapping[str, str]) -> tuple[str, ...]:
    """Names of a Ray node's devices."""
    if named := labels.get(GPUS_LABEL):
        return tuple(named.split("_"))
    return tuple(str(index) for index in range(int(resources.get("GPU", 0))))
